/** What makes a run smaller, as the planner words it, turned into the setting it is. Knows the planner's words, not its numbers. */
import { loadModel, setQuantization } from './model.ts';
import { setSetting } from './recipe.ts';

export interface Remedy { label: string; apply: () => void }

const set = (group: 'training' | 'data', key: string, value: unknown) => (): void => void setSetting(group, key, value);

const KNOWN: [pattern: RegExp, label: (match: string) => string, apply: (match: string) => () => void][] = [
  [/recompute cheap parts/g, () => 'Recompute cheap parts', () => set('training', 'gradientCheckpointing', 'cheap')],
  [/recompute layers/g, () => 'Recompute layers', () => set('training', 'gradientCheckpointing', 'layers')],
  [/the model in 4 bits/g, () => 'Load the model in 4-bit', () => () => { setQuantization('nf4'); void loadModel(); }],
  [/batch size \d+/g, (match) => `Set ${match}`, (match) => set('training', 'perDeviceTrainBatchSize', numberIn(match))],
  [/maximum length [\d,]+\d/g, (match) => `Set ${match}`, (match) => set('data', 'maxLength', numberIn(match))],
];

const numberIn = (text: string): number => Number(text.replaceAll(/\D/g, ''));

/** The changes a sentence names, as buttons; a change of several settings at once is left to the person. */
export function remediesIn(sentence: string): Remedy[] {
  return KNOWN.flatMap(([pattern, label, apply]) => [...sentence.matchAll(pattern)].map(([match]) => ({ label: label(match), apply: apply(match) })));
}
