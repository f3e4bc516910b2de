/** Owns the names under which dropped or picked files are known: their path inside the folder where the browser tells it. */
import { sourceFromBlob, type ByteSource } from '../formats/byteSource.ts';

/** Two files of one name without a path: the first is kept. */
export function sourcesFromFiles(files: readonly File[]): Map<string, ByteSource> {
  const sources = new Map<string, ByteSource>();
  for (const file of files) {
    const path = file.webkitRelativePath || file.name;
    if (!sources.has(path)) sources.set(path, sourceFromBlob(file, file.name));
  }
  return sources;
}
