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
  try {
    const files = unzipSync(bytes, {
      filter: (file) => {
        if (!wanted(file.name)) return false;
        total += file.originalSize;
        if (total > maxBytes) throw tooLarge(name, total, maxBytes);
        return true;
      },
    });
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
