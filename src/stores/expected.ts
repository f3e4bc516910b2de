/** The data a shared recipe was made for, until it is here: what to ask for, and how its fields map. */
import { create } from 'zustand';
import { toRecipeName, type Recipe } from '../config/recipe.ts';
import type { DatasetSummary, Mapping } from './types.ts';

interface ExpectedState {
  dataset: Recipe['dataset'] | null;
  /** What became of its mapping at the import, in a sentence. */
  note: string | null;
}

export const useExpected = create<ExpectedState>(() => ({ dataset: null, note: null }));

/** The built-in data needs no asking for. */
export const expectDataset = (dataset: Recipe['dataset']): void => useExpected.setState({ dataset: dataset.source === 'builtin' ? null : dataset, note: null });

export const forgetExpected = (): void => useExpected.setState({ dataset: null, note: null });

/** Name and mapping of the expected dataset; null where there is none to apply. */
export function expectedMapping(): { name: string; mapping: Mapping } | null {
  const { dataset } = useExpected.getState();
  return dataset?.mapping ? { name: dataset.name, mapping: dataset.mapping as Mapping } : null;
}

/** True for the dataset that was expected, by the name under which recipes know it. */
export const isExpected = (expected: Recipe['dataset'], dataset: Pick<DatasetSummary, 'name' | 'hub'>): boolean =>
  (expected.source === 'hub' ? dataset.hub?.repo === expected.name : toRecipeName(dataset.name) === expected.name);

/** Datasets came in: says what became of the mapping, and stops expecting what is here. */
export function arrived(made: readonly DatasetSummary[], fits: boolean): void {
  const { dataset } = useExpected.getState();
  const found = dataset && made.find((one) => isExpected(dataset, one));
  if (!dataset || !found) return;
  const note = !dataset.mapping ? null : fits
    ? `${found.name} is mapped as the shared recipe says.`
    : `The mapping of the shared recipe fits no row of ${found.name}; its fields were mapped as detected.`;
  useExpected.setState({ dataset: null, note });
}
