/** Owns zip archives: writing the download, and reading one that a person drops, within limits. Library: fflate. */
import { unzipSync, zipSync, type Zippable } from 'fflate';
import { EtudeError } from '../config/errors.ts';

/** The earliest time a zip can hold. A fixed one keeps the same files the same bytes. */
const MTIME = new Date(1980, 0, 1);

/** Weights do not shrink, so they are stored as they are; text is compressed. */
export function zipFiles(files: ReadonlyMap<string, Uint8Array>): Uint8Array<ArrayBuffer> {
  const entries: Zippable = {};
  for (const [path, bytes] of files) entries[path] = [bytes, { level: path.endsWith('.safetensors') ? 0 : 6, mtime: MTIME }];
  return zipSync(entries) as Uint8Array<ArrayBuffer>;
}

/** Unpacks the files that `wanted` accepts; refuses an archive whose files would take more than `maxBytes` together. */
export function unzipFiles(bytes: Uint8Array, name: string, wanted: (path: string) => boolean, maxBytes = 2_000_000_000): Map<string, Uint8Array> {
  let total = 0;
  const seen = new Set<string>();
  try {
    const checksums = readChecksums(bytes);
    const files = unzipSync(bytes, {
      filter: (file) => {
        if (!wanted(file.name)) return false;
        if (seen.has(file.name)) throw new Error(`it holds ${file.name} twice`);
        seen.add(file.name);
        total += file.originalSize;
        if (total > maxBytes) throw tooLarge(name, total, maxBytes);
        return true;
      },
    });
    for (const [path, content] of Object.entries(files)) {
      if (crc32(content) !== checksums.get(path)) throw new Error(`the checksum of ${path} is not that of its bytes`);
    }
    return new Map(Object.entries(files));
  } catch (cause) {
    if (cause instanceof EtudeError) throw cause;
    throw new EtudeError({
      code: 'zip.damaged',
      what: `${name} is not a readable zip archive: ${cause instanceof Error ? cause.message : String(cause)}.`,
      expected: 'A zip file, such as the one Etude writes.',
      likelyCause: 'The download or copy stopped early.',
      nextStep: 'Unpack it yourself and choose the folder, or download it again.',
    }, { cause });
  }
}

const tooLarge = (name: string, total: number, maxBytes: number): EtudeError =>
  new EtudeError({
    code: 'zip.tooLarge',
    what: `${name} would unpack to ${total} bytes or more.`,
    expected: `At most ${maxBytes} bytes.`,
    likelyCause: 'The archive holds more than an adapter.',
    nextStep: 'Unpack it yourself and choose the adapter folder.',
  });

const CENTRAL = 0x02014b50;
const END = 0x06054b50;

/** CRC-32 of every file as the archive's directory gives it, which fflate does not look at. Format: PKWARE APPNOTE 4.3.12 and 4.3.16. */
function readChecksums(bytes: Uint8Array): Map<string, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== END) end--;
  const sums = new Map<string, number>();
  if (end < 0) return sums;
  let at = view.getUint32(end + 16, true);
  for (let i = view.getUint16(end + 10, true); i > 0 && at + 46 <= bytes.length && view.getUint32(at, true) === CENTRAL; i--) {
    const nameEnd = at + 46 + view.getUint16(at + 28, true);
    sums.set(new TextDecoder().decode(bytes.subarray(at + 46, nameEnd)), view.getUint32(at + 16, true));
    at = nameEnd + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return sums;
}

const CRC_TABLE = /* @__PURE__ */ Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}
