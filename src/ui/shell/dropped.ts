/** What was dropped: a model folder, an adapter, or a data file. Folders are walked with the entries API. */

export type Dropped =
  | { kind: 'model'; name: string; files: File[] }
  | { kind: 'adapter'; name: string; files: File[] }
  | { kind: 'data'; files: File[] }
  | { kind: 'nothing'; reason: string };

/** Files of a model or adapter folder lie beside each other; deeper ones are other things. */
const MAX_FILES = 2000;

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return new Promise((resolve, reject) => (entry as FileSystemFileEntry).file((f) => resolve([f]), reject));
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  // readEntries gives at most 100 at a time.
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0 || files.length > MAX_FILES) return files;
    for (const child of batch) if (child.isFile) files.push(...await filesOf(child));
  }
}

/** Must be called inside the drop event: entries are gone after it. */
export async function readDrop(transfer: DataTransfer): Promise<Dropped> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null).filter((e) => e !== null);
  const loose = [...transfer.files];
  const folder = entries.find((e) => e.isDirectory);
  if (folder) return classify(await filesOf(folder), folder.name);
  return classify(loose, '');
}

/** Tells apart what a set of files is. Pure. */
export function classify(files: File[], folderName: string): Dropped {
  const has = (name: string) => files.some((f) => f.name === name);
  const title = folderName || files[0]?.name || '';
  if (has('adapter_config.json')) return { kind: 'adapter', name: folderName || 'adapter', files };
  if (has('config.json') || files.some((f) => f.name.endsWith('.safetensors'))) return { kind: 'model', name: folderName || 'model', files };
  if (folderName) {
    return files.length === 0 ? { kind: 'nothing', reason: `The folder ${title} is empty.` } : { kind: 'model', name: folderName, files };
  }
  const [file] = files;
  if (!file) return { kind: 'nothing', reason: 'Nothing in what was dropped is a file.' };
  if (files.length > 1 && files.some((f) => /\.zip$/i.test(f.name))) return { kind: 'nothing', reason: `${files.length} files were dropped, a zip among them. Drop an adapter's zip alone, or data files without it.` };
  if (/\.zip$/i.test(file.name)) return { kind: 'adapter', name: file.name.replace(/\.zip$/i, ''), files };
  return { kind: 'data', files };
}

/** Files of `<input webkitdirectory>`: only those directly in the picked folder. */
export function pickedFolder(list: FileList): { name: string; files: File[] } {
  const files = [...list].filter((f) => f.webkitRelativePath.split('/').length <= 2);
  return { name: files[0]?.webkitRelativePath.split('/')[0] ?? 'model', files };
}
