/**
 * Owns what several files dropped together become. Shards of one set (train-00000-of-00002, train-00001-of-00002) are one
 * dataset, as they are everywhere; other files are one dataset each, because train.jsonl and test.jsonl dropped together
 * must not be trained together. Both can be overruled.
 */
export type JoinRule = 'auto' | 'one' | 'each';

export interface FileGroup<File extends { name: string }> {
  /** Of the dataset. */
  name: string;
  files: File[];
}

/** Files in groups, in the order in which they were given; the files of a group by number. */
export function groupFiles<File extends { name: string }>(files: readonly File[], join: JoinRule = 'auto'): FileGroup<File>[] {
  if (join === 'one' && files.length > 1) return [{ name: `${files[0]!.name} and ${files.length - 1} more`, files: [...files] }];
  const groups = new Map<string, File[]>();
  for (const [i, file] of files.entries()) {
    const key = join === 'each' ? String(i) : (shardKey(file.name) ?? `${i}`);
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  return [...groups].map(([key, found]) => {
    if (found.length === 1) return { name: found[0]!.name, files: found };
    return { name: `${key} (${found.length} files)`, files: found.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })) };
  });
}

/** 'train-00001-of-00004.parquet' -> 'train-*-of-00004.parquet', 'part-7.jsonl.gz' -> 'part-*.jsonl.gz'; null for what is no shard. */
function shardKey(name: string): string | null {
  const of = /^(.*?)(\d+)(-of-\d+)(\..*)?$/.exec(name);
  if (of) return `${of[1]}*${of[3]}${of[4] ?? ''}`;
  const part = /^(.*(?:part|shard|chunk)[-_.]?)(\d+)(\.[A-Za-z][\w.]*)?$/i.exec(name);
  return part ? `${part[1]}*${part[3] ?? ''}` : null;
}

/** The name under which pasted text is read: JSON shows itself, a table too, and the rest is plain text. */
export const PASTED_NAME = 'Pasted rows.txt';
