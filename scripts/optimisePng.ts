/**
 * Writes a screenshot's PNG again, smaller and with the same pixels: no alpha channel where nothing is transparent, the
 * filter of each row chosen by the smallest sum of differences, deflate at its best. Reads what Chromium writes
 * (8 bits, RGB or RGBA, not interlaced); anything else is an error.
 */
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

interface Image { width: number; height: number; channels: 3 | 4; pixels: Uint8Array }

/** The predictor of PNG's filter 4: whichever of left, above and above-left is nearest to left + above - above-left. */
function paeth(a: number, b: number, c: number): number {
  const p = a + b - c;
  const pa = Math.abs(p - a);
  const pb = Math.abs(p - b);
  const pc = Math.abs(p - c);
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

/** What filter `type` predicts for a byte from its neighbours. */
function predict(type: number, a: number, b: number, c: number): number {
  switch (type) {
    case 0: return 0;
    case 1: return a;
    case 2: return b;
    case 3: return (a + b) >> 1;
    case 4: return paeth(a, b, c);
    default: throw new Error(`PNG filter ${type} is unknown.`);
  }
}

function decode(png: Buffer): Image {
  if (!png.subarray(0, 8).equals(SIGNATURE)) throw new Error('Not a PNG.');
  let header: Buffer | null = null;
  const data: Buffer[] = [];
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    const body = png.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') header = body;
    if (type === 'IDAT') data.push(body);
    at += 12 + length;
  }
  if (header === null) throw new Error('The PNG has no header.');
  const [depth, colour, , , interlace] = header.subarray(8);
  if (depth !== 8 || (colour !== 2 && colour !== 6) || interlace !== 0) throw new Error(`A PNG of depth ${depth}, colour type ${colour}, interlace ${interlace} is not read.`);
  const channels = colour === 2 ? 3 : 4;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const raw = inflateSync(Buffer.concat(data));
  const stride = width * channels;
  const pixels = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]!;
    for (let x = 0; x < stride; x++) {
      const at = y * stride + x;
      const a = x >= channels ? pixels[at - channels]! : 0;
      const b = y > 0 ? pixels[at - stride]! : 0;
      const c = x >= channels && y > 0 ? pixels[at - stride - channels]! : 0;
      pixels[at] = raw[y * (stride + 1) + 1 + x]! + predict(filter, a, b, c);
    }
  }
  return { width, height, channels, pixels };
}

function withoutAlpha(image: Image): Image {
  const { pixels } = image;
  if (image.channels === 3) return image;
  for (let i = 3; i < pixels.length; i += 4) if (pixels[i] !== 255) return image;
  return { ...image, channels: 3, pixels: pixels.filter((_, i) => i % 4 !== 3) };
}

function filterRows({ width, height, channels, pixels }: Image): Buffer {
  const stride = width * channels;
  const out = Buffer.alloc((stride + 1) * height);
  const row = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    let least = Infinity;
    for (let filter = 0; filter <= 4; filter++) {
      let sum = 0;
      for (let x = 0; x < stride; x++) {
        const at = y * stride + x;
        const a = x >= channels ? pixels[at - channels]! : 0;
        const b = y > 0 ? pixels[at - stride]! : 0;
        const c = x >= channels && y > 0 ? pixels[at - stride - channels]! : 0;
        row[x] = pixels[at]! - predict(filter, a, b, c);
        sum += Math.min(row[x]!, 256 - row[x]!);
      }
      if (sum < least) {
        least = sum;
        out[y * (stride + 1)] = filter;
        out.set(row, y * (stride + 1) + 1);
      }
    }
  }
  return out;
}

function chunk(type: string, body: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(body.length, 0);
  ends.writeUInt32BE(crc32(named), 4);
  return Buffer.concat([ends.subarray(0, 4), named, ends.subarray(4)]);
}

function encode(image: Image, raw: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(image.width, 0);
  header.writeUInt32BE(image.height, 4);
  header.set([8, image.channels === 3 ? 2 : 6], 8);
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', deflateSync(raw, { level: 9, memLevel: 9 })), chunk('IEND', Buffer.alloc(0))]);
}

/** The same picture in fewer bytes; the original where that fails to save any. */
export function optimisePng(png: Buffer): Buffer {
  const image = withoutAlpha(decode(png));
  // Flat areas, which a page has most of, are often smallest without any filter.
  const { width, height, channels, pixels } = image;
  const plain = Buffer.alloc((width * channels + 1) * height);
  for (let y = 0; y < height; y++) plain.set(pixels.subarray(y * width * channels, (y + 1) * width * channels), y * (width * channels + 1) + 1);
  return [png, encode(image, filterRows(image)), encode(image, plain)].reduce((best, candidate) => (candidate.length < best.length ? candidate : best));
}
