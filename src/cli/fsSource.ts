/** Owns reading files of the local disk as ByteSources, for the command line. */
import { open, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { checkRange, unreadable, type ByteSource } from '../formats/byteSource.ts';

/** A file on disk, read by slices. Each read opens and closes the file, so nothing is left to release. */
export async function sourceFromPath(path: string, name = basename(path)): Promise<ByteSource> {
  const { size } = await stat(path);
  return {
    name,
    size,
    async read(start, end) {
      checkRange(name, size, start, end);
      const bytes = new Uint8Array(end - start);
      const handle = await open(path, 'r').catch((cause: unknown) => {
        throw unreadable(name, cause);
      });
      try {
        for (let done = 0; done < bytes.length;) {
          const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done);
          if (bytesRead === 0) throw unreadable(name, new Error(`file ended at byte ${start + done}`));
          done += bytesRead;
        }
      } finally {
        await handle.close();
      }
      return bytes;
    },
  };
}

/** The files of one folder (not of folders in it) by name. */
export async function sourcesFromFolder(folder: string): Promise<Map<string, ByteSource>> {
  const sources = new Map<string, ByteSource>();
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isFile() || (entry.isSymbolicLink() && (await stat(path)).isFile())) sources.set(entry.name, await sourceFromPath(path));
  }
  return sources;
}
