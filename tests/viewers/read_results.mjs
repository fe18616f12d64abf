// Reads PS3.10 files with OHIF: JSON {images, reports, segmentations} of paths on standard input, JSON out. With `shift`,
// [columns, rows], every report comes back as a reader stored it who moved each of its measurements.

import { readFileSync } from 'node:fs';
import { correctReport, parse, readReport, readSegmentation } from './ohif_reader.mjs';

function bytesOf(path) {
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

async function orError(reading) {
  try {
    return await reading;
  } catch (error) {
    return { error: `${error}` };
  }
}

async function main() {
  const { images: paths, reports, segmentations, shift } = JSON.parse(readFileSync(0, 'utf8'));
  const images = paths.map(path => parse(bytesOf(path)));
  const read = { reports: [], segmentations: [], corrected: [] };
  for (const path of reports) read.reports.push(await orError(readReport(parse(bytesOf(path)), images)));
  for (const path of segmentations) {
    const segmentation = await orError(readSegmentation(bytesOf(path), images));
    segmentation.layers = segmentation.layers?.map(layer => layer.map(each => Buffer.from(each).toString('base64')));
    read.segmentations.push(segmentation);
  }
  for (const path of shift ? reports : []) {
    read.corrected.push(Buffer.from(await correctReport(parse(bytesOf(path)), images, shift)).toString('base64'));
  }
  process.stdout.write(JSON.stringify(read));
}

main();
