// Reads PS3.10 files with OHIF: JSON {images, reports, segmentations} of paths on standard input, JSON out.

import { readFileSync } from 'node:fs';
import { parse, readReport, readSegmentation } from './ohif_reader.mjs';

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
  const { images: paths, reports, segmentations } = JSON.parse(readFileSync(0, 'utf8'));
  const images = paths.map(path => parse(bytesOf(path)));
  const read = { reports: [], segmentations: [] };
  for (const path of reports) read.reports.push(await orError(readReport(parse(bytesOf(path)), images)));
  for (const path of segmentations) {
    const segmentation = await orError(readSegmentation(bytesOf(path), images));
    segmentation.layers = segmentation.layers?.map(layer => layer.map(each => Buffer.from(each).toString('base64')));
    read.segmentations.push(segmentation);
  }
  process.stdout.write(JSON.stringify(read));
}

main();
