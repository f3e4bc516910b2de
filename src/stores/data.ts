/** The datasets in this browser, the one in use, and how it is looked at. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { toRecipeName } from '../config/recipe.ts';
import { arrived, expectedMapping } from './expected.ts';
import { readStored, writeStored } from './persist.ts';
import { announce } from './session.ts';
import type { DatasetSummary, DataSource, Mapping, Progress, Requests } from './types.ts';
import { failure, request } from './worker.ts';

export type DataView = 'mask' | 'table' | 'mapping' | 'overlap';

interface DataState {
  /** null until the stored datasets are listed. */
  datasets: DatasetSummary[] | null;
  currentId: string | null;
  importing: { name: string; bytes: number | null; progress: Progress | null; startedAt: number } | null;
  /** Why the last import or change failed; the data in use is untouched. */
  error: UserMessage | null;
  view: DataView;
  /** 0-based row of the mask inspector. */
  row: number;
  /** Several files that came in at once, and what they became, until something else does. */
  together: { files: File[]; ids: string[] } | null;
  /** Rises when rows on screen are out of date. */
  version: number;
}

export const useData = create<DataState>(() => ({
  datasets: null, currentId: null, importing: null, error: null, together: null, view: 'mask', row: 0, version: 0,
}));

export const currentDataset = (s: DataState): DatasetSummary | null => s.datasets?.find((d) => d.id === s.currentId) ?? null;

interface RequestOptions { signal: AbortSignal; onProgress: (progress: Progress) => void }

let importing: AbortController | null = null;

const withDataset = (list: DatasetSummary[] | null, dataset: DatasetSummary): DatasetSummary[] =>
  [dataset, ...(list ?? []).filter((d) => d.id !== dataset.id)];

/** Lists what is stored and goes on with the dataset of the last visit. */
export async function listDatasets(): Promise<void> {
  try {
    const datasets = await request('data.list', {});
    const last = readStored('dataset');
    useData.setState((s) => ({
      datasets,
      currentId: s.currentId ?? datasets.find((d) => d.id === last)?.id ?? null,
    }));
  } catch (error) {
    useData.setState({ datasets: [], error: failure(error) });
  }
}

export function selectDataset(id: string | null): void {
  writeStored('dataset', id);
  useData.setState((s) => ({ currentId: id, row: 0, error: null, version: s.version + 1 }));
}

/** Brings rows in; the first dataset made is the one in use. A newer import, or Cancel, ends this one. */
async function bringIn(name: string, bytes: number | null, ask: (options: RequestOptions) => Promise<DatasetSummary[]>): Promise<boolean> {
  importing?.abort();
  const controller = new AbortController();
  importing = controller;
  useData.setState({ error: null, together: null, importing: { name, bytes, progress: null, startedAt: Date.now() } });
  // Asked of the page because a worker cannot: keeps the browser from clearing rows and runs under pressure.
  void globalThis.navigator?.storage?.persist?.().catch(() => false);
  try {
    const made = await ask({
      signal: controller.signal,
      onProgress: (progress) => useData.setState((s) => (s.importing && importing === controller ? { importing: { ...s.importing, progress } } : s)),
    });
    if (importing !== controller) return false;
    useData.setState((s) => ({ datasets: made.toReversed().reduce<DatasetSummary[]>(withDataset, s.datasets ?? []), importing: null }));
    if (made[0]) selectDataset(made[0].id);
    if (made.length > 1) announce(`${made.length} datasets were made. ${made[0]!.name} is in use.`);
    return true;
  } catch (error) {
    if (importing === controller) {
      useData.setState({ importing: null, error: failure(error) });
      // Of several files some may have come in before the failure.
      if (bytes !== null) void refreshDatasets();
    }
    return false;
  }
}

/** Asks with the mapping of a shared recipe where it is for this name; what it fits no row of is mapped as detected. */
async function mapped(name: string | null, ask: (mapping?: Mapping) => Promise<DatasetSummary[]>): Promise<DatasetSummary[]> {
  const expected = expectedMapping();
  if (!expected || (name !== null && toRecipeName(name) !== expected.name)) {
    const made = await ask();
    arrived(made, true);
    return made;
  }
  try {
    const made = await ask(expected.mapping);
    arrived(made, true);
    return made;
  } catch (error) {
    if (failure(error)?.code !== 'data.noUsableRows') throw error;
    const made = await ask();
    arrived(made, false);
    return made;
  }
}

export const importData = (source: DataSource): Promise<boolean> => (source.kind === 'file'
  ? bringIn(source.file.name, source.file.size, (options) => mapped(source.file.name, async (mapping) => [await request('data.import', { source, ...(mapping ? { mapping } : {}) }, options)]))
  : bringIn('Built-in data', null, async (options) => [await request('data.import', { source }, options)]));

/** Shards of one set become one dataset, other files one each; `join` overrules. */
export async function importFiles(files: File[], join: Requests['data.importFiles']['args']['join'] = 'auto'): Promise<boolean> {
  const [file] = files;
  if (!file) return false;
  if (files.length === 1) return importData({ kind: 'file', file });
  let made: DatasetSummary[] = [];
  const done = await bringIn(`${files.length} files`, files.reduce((sum, f) => sum + f.size, 0), async (options) => {
    const expected = expectedMapping();
    made = await request('data.importFiles', { files, join, ...(expected ? { expected } : {}) }, options);
    arrived(made, true);
    return made;
  });
  if (done) useData.setState({ together: { files, ids: made.map((dataset) => dataset.id) } });
  return done;
}

/** Makes of the files that came last the other thing: one dataset of several, or one each. What they were goes. */
export async function joinFiles(join: 'one' | 'each'): Promise<void> {
  const { together } = useData.getState();
  if (!together) return;
  if (!await importFiles(together.files, join)) return useData.setState({ together });
  for (const id of together.ids) await deleteDataset(id);
}

/** A split of a dataset repository: downloaded as far as it is not cached, then imported, pinned to its commit. */
export const importHub = (args: Requests['data.importHub']['args'], bytes: number): Promise<boolean> =>
  bringIn(args.repo, bytes, (options) => mapped(args.repo, async (mapping) => [await request('data.importHub', { ...args, ...(mapping ? { mapping } : {}) }, options)]));

/** Rows pasted or typed by hand. */
export const importText = (text: string): Promise<boolean> =>
  bringIn('Pasted rows', null, async (options) => [await request('data.importText', { text }, options)]);

/** Summaries after rows were changed; a failure leaves them as they were. */
export async function refreshDatasets(): Promise<void> {
  const datasets = await request('data.list', {}).catch(() => null);
  if (datasets) useData.setState({ datasets });
}

export const cancelImport = (): void => importing?.abort();
export const dismissDataError = (): void => useData.setState({ error: null });

export async function deleteDataset(id: string): Promise<void> {
  try {
    await request('data.delete', { datasetId: id });
    useData.setState((s) => ({ datasets: s.datasets?.filter((d) => d.id !== id) ?? null }));
    if (useData.getState().currentId === id) selectDataset(null);
  } catch (error) {
    useData.setState({ error: failure(error) });
  }
}

export async function setMapping(mapping: Mapping): Promise<void> {
  const { currentId } = useData.getState();
  if (!currentId) return;
  try {
    const dataset = await request('data.setMapping', { datasetId: currentId, mapping });
    useData.setState((s) => ({
      datasets: s.datasets?.map((d) => (d.id === dataset.id ? dataset : d)) ?? null, version: s.version + 1, error: null,
    }));
  } catch (error) {
    useData.setState({ error: failure(error) });
  }
}

export const setDataView = (view: DataView): void => useData.setState({ view });

/** Rows that were deleted leave gaps: others keep their number. Pure. */
export const lastRow = ({ rows, edits }: Pick<DatasetSummary, 'rows' | 'edits'>): number => Math.max(0, (edits?.next ?? rows) - 1);

export function setRow(row: number): void {
  const dataset = currentDataset(useData.getState());
  useData.setState({ row: Math.max(0, Math.min((dataset ? lastRow(dataset) : 0), Math.trunc(row) || 0)) });
}

/** Opens a row in the mask inspector. */
export function inspectRow(row: number): void {
  setRow(row);
  useData.setState({ view: 'mask' });
}
