// Shows one frame with what results say of it, as OHIF's code reads them: page.html?study=UID&image=UID&frame=N&scale=S.
//
// Everything comes by DICOMweb from the archive that serves this page. One pixel of the source is S pixels wide.
// Segments are laid over the source half and half; rectangles are drawn in pure magenta.

import { imageIdsOf, naturalized, readReport, readSegmentation } from './ohif_reader.mjs';
import { greyLevels } from './rendering.mjs';

const asked = new URLSearchParams(location.search);
const study = `/dicom-web/studies/${asked.get('study')}`;

async function json(path) {
  const answer = await fetch(path, { headers: { Accept: 'application/dicom+json' } });
  if (!answer.ok) throw new Error(`${answer.status} for ${path}`);
  return (await answer.json()).map(naturalized);
}

/** Fetch the first part of a multipart answer (PS3.18 8.6.1.2). */
async function part(path, type) {
  const answer = await fetch(path, { headers: { Accept: `multipart/related; type="${type}"` } });
  if (!answer.ok) throw new Error(`${answer.status} for ${path}`);
  const body = await answer.arrayBuffer();
  const text = new TextDecoder('latin1').decode(body);
  const [, boundary] = answer.headers.get('Content-Type').match(/boundary="?([^";]+)/);
  const start = text.indexOf('\r\n\r\n') + 4;
  return body.slice(start, text.indexOf(`\r\n--${boundary}`, start));
}

const place = ({ SeriesInstanceUID, SOPInstanceUID }) =>
  `${study}/series/${SeriesInstanceUID}/instances/${SOPInstanceUID}`;

/** Blend the segments of one image into its colours. */
function blend(pixels, { layers, segments }, index) {
  const colours = new Map(segments.map(({ number, rgb }) => [number, rgb]));
  for (const layer of layers) {
    layer[index].forEach((number, at) => {
      const colour = colours.get(number);
      for (let part = 0; colour && part < 3; part += 1) {
        pixels[4 * at + part] = (pixels[4 * at + part] + colour[part]) / 2;
      }
    });
  }
}

function draw(image, pixels, rectangles, scale) {
  const native = new OffscreenCanvas(image.Columns, image.Rows);
  native.getContext('2d').putImageData(new ImageData(pixels, image.Columns, image.Rows), 0, 0);
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.Columns * scale, image.Rows * scale];
  const context = canvas.getContext('2d');
  context.imageSmoothingEnabled = false;
  context.drawImage(native, 0, 0, canvas.width, canvas.height);
  context.strokeStyle = '#ff00ff';
  context.lineWidth = 2;
  for (const { points } of rectangles) {
    const [[left, top], , , [right, bottom]] = points.map(point => point.map(each => each * scale));
    context.strokeRect(left, top, right - left, bottom - top);
  }
  document.body.append(canvas);
}

async function show() {
  const series = await json(`${study}/series`);
  const objects = (
    await Promise.all(series.map(each => json(`${study}/series/${each.SeriesInstanceUID}/metadata`)))
  ).flat();
  const images = objects.filter(({ Modality }) => !['SR', 'SEG', 'PR', 'KO'].includes(Modality));
  const image = images.find(({ SOPInstanceUID }) => SOPInstanceUID === asked.get('image'));
  const imageId = imageIdsOf(image)[asked.get('frame') - 1];
  const frame = await part(`${place(image)}/frames/${asked.get('frame')}`, 'application/octet-stream');
  const pixels = greyLevels(image, frame);
  const rectangles = [];
  for (const each of objects.filter(({ Modality }) => Modality === 'SEG')) {
    const read = await readSegmentation(await part(place(each), 'application/dicom'), images);
    blend(pixels, read, images.flatMap(imageIdsOf).indexOf(imageId));
  }
  for (const each of objects.filter(({ Modality }) => Modality === 'SR')) {
    const { editable } = await readReport(each, images);
    rectangles.push(...editable.filter(({ type, imageId: on }) => type === 'RectangleROI' && on === imageId));
  }
  draw(image, pixels, rectangles, Number(asked.get('scale')));
}

show().catch(error => document.body.append(`${error.stack}`));
