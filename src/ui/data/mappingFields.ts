/** Which parts each shape of row has, as the mapping form shows them. Pure. */
import type { Mapping } from '../../stores/types.ts';

export type MappingPart = Exclude<keyof Mapping, 'shape'>;

export interface PartField { part: MappingPart; label: string; required: boolean }

const part = (name: MappingPart, label: string, required = false): PartField => ({ part: name, label, required });

export const PARTS: Record<Mapping['shape'], PartField[]> = {
  alpaca: [part('instruction', 'Instruction', true), part('input', 'Input'), part('output', 'Answer', true), part('history', 'Earlier turns'), part('system', 'System')],
  'prompt-completion': [part('instruction', 'Prompt', true), part('output', 'Completion', true), part('rejected', 'Rejected answer'), part('system', 'System')],
  messages: [part('messages', 'List of messages', true), part('tools', 'Tools'), part('rejected', 'Rejected answer'), part('system', 'System')],
  sharegpt: [part('messages', 'List of turns', true), part('output', 'Answer beside them'), part('tools', 'Tools'), part('rejected', 'Rejected answer'), part('system', 'System')],
  text: [part('text', 'Text', true)],
  table: [part('instruction', 'Prompt', true), part('input', 'Input'), part('output', 'Answer', true), part('rejected', 'Rejected answer'), part('system', 'System')],
};

/** The mapping with only the parts its shape uses. */
export function forShape(mapping: Mapping, shape: Mapping['shape']): Mapping {
  const next: Mapping = { shape };
  for (const { part: name } of PARTS[shape]) {
    const field = mapping[name];
    if (field !== undefined) next[name] = field;
  }
  return next;
}

/** What is still missing, in words; null when the mapping can be used. */
export function missingPart(mapping: Mapping): string | null {
  const missing = PARTS[mapping.shape].filter((p) => p.required && !mapping[p.part]);
  return missing.length ? `Choose a field for ${missing.map((p) => p.label.toLowerCase()).join(' and ')}.` : null;
}

export const sameMapping = (a: Mapping, b: Mapping): boolean =>
  a.shape === b.shape && PARTS[a.shape].every(({ part: name }) => (a[name] ?? null) === (b[name] ?? null));
