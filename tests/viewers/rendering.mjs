// Turns stored pixels of one frame into what a screen shows, RGBA.

/** Apply rescale and linear window (PS3.3 C.11.1, C.11.2.1.2), or take colours as they are. */
export function greyLevels(image, frame) {
  const count = image.Rows * image.Columns;
  const shown = new Uint8ClampedArray(4 * count).fill(255);
  const stored = image.BitsAllocated === 16 ? new Uint16Array(frame) : new Uint8Array(frame);
  const { SamplesPerPixel: samples } = image;
  for (let at = 0; at < count; at += 1) {
    for (let part = 0; part < 3; part += 1) {
      shown[4 * at + part] = samples === 3 ? stored[3 * at + part] : windowed(image, stored[at]);
    }
  }
  return shown;
}

function windowed(image, stored) {
  const { RescaleSlope: slope = 1, RescaleIntercept: intercept = 0 } = image;
  const [centre, width] = [image.WindowCenter, image.WindowWidth].map(each => Number([each].flat()[0]));
  const level = (stored * slope + Number(intercept) - (centre - 0.5)) / (width - 1) + 0.5;
  const grey = 255 * Math.min(1, Math.max(0, level));
  return image.PhotometricInterpretation === 'MONOCHROME1' ? 255 - grey : grey;
}
