/** The hidden file field behind every "Browse": one file or several of any kind that is read. */
import type { RefObject } from 'react';
import { takeDataFiles } from '../shell/take.ts';

const DATA_FILES = '.json,.jsonl,.ndjson,.csv,.tsv,.txt,.md,.parquet,.gz';

/** What is read, in words. */
export const FORMATS = 'JSONL, JSON, CSV, TSV, Parquet or text, also as .gz; several at once';

export function DataFileInput({ picker }: { picker: RefObject<HTMLInputElement | null> }) {
  return (
    <input
      ref={picker} type="file" hidden multiple accept={DATA_FILES} aria-label="Data file" data-testid="data-file-input"
      onChange={(e) => {
        const files = [...e.currentTarget.files ?? []];
        if (files.length > 0) void takeDataFiles(files);
        e.currentTarget.value = '';
      }}
    />
  );
}
