/**
 * Owns the answer to where a stretch of a rendered row comes from: which field or turn of the file, or the template. For showing only;
 * no mask is made from it.
 */
import { isObject } from './messages.ts';
import type { Rendered } from './templates/rendered.ts';
import type { Mapping, Message } from './types.ts';

/** A stretch of the rendered text [start, end) and, in words, its source. */
export interface Origin { start: number; end: number; from: string }

export const THE_TEMPLATE = 'the template';

const field = (name: string): string => `field "${name}"`;

/** Stretches of the rendered text that come from the row, in order; the template wrote what lies between them. */
export function originsOf(rendered: Rendered, value: unknown, mapping: Mapping, messages: readonly Message[]): Origin[] {
  const row = isObject(value) ? value : {};
  return rendered.turns.flatMap(({ content, messageIndex }) => {
    if (!content || messageIndex === null || content.end <= content.start) return [];
    const parts = partsOf(row, mapping, messages, messageIndex);
    const whole = messages[messageIndex]?.content ?? '';
    // Templates trim contents: what is left begins later.
    const shift = content.start - Math.max(0, whole.indexOf(rendered.text.slice(content.start, content.end)));
    return parts.map(({ from, start, end }) => ({ from, start: Math.max(content.start, start + shift), end: Math.min(content.end, end + shift) })).filter(({ start, end }) => end > start);
  });
}

/** Stretches of one message's content. */
function partsOf(row: Record<string, unknown>, mapping: Mapping, messages: readonly Message[], index: number): Origin[] {
  const all = (from: string): Origin[] => [{ start: 0, end: Infinity, from }];
  if (mapping.text !== undefined && mapping.shape === 'text') return all(field(mapping.text));
  const hasSystem = mapping.system !== undefined && ![undefined, null, ''].includes(row[mapping.system] as string | null | undefined);
  if (index === 0 && hasSystem) return all(field(mapping.system!));
  const last = index === messages.length - 1;
  if (last && mapping.output !== undefined) return all(field(mapping.output));
  const nth = index - (hasSystem ? 1 : 0);
  if (mapping.messages !== undefined) return all(`${field(mapping.messages)}, turn ${nth + 1}`);
  if (index < messages.length - 2) return all(`${field(mapping.history ?? 'history')}, pair ${Math.floor(nth / 2) + 1}`);
  const { content } = messages[index]!;
  const textOf = (name: string | undefined): string => {
    const value = name === undefined ? undefined : row[name];
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
  };
  const [instruction, input] = [textOf(mapping.instruction), textOf(mapping.input)];
  if (input === '') return all(field(mapping.instruction ?? ''));
  const at = content.length - input.length;
  return [...(instruction === '' ? [] : [{ start: 0, end: instruction.length, from: field(mapping.instruction ?? '') }]), { start: at, end: Infinity, from: field(mapping.input!) }];
}
