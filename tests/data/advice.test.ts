import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { adviseOn } from '../../src/data/advice.ts';
import { guessTask, TASK_TYPES, type TaskType } from '../../src/data/taskTypes.ts';
import type { FindingKind } from '../../src/data/types.ts';

interface Labelled { source: string; prompt: string; answer: string; type: TaskType }
const labelled = (file: string): Labelled[] => JSON.parse(readFileSync(fileURLToPath(new URL(`../fixtures/datasets/${file}`, import.meta.url)), 'utf8')) as Labelled[];
/** These rows were in sight while the rules were written. */
const REAL = labelled('labelled.json');
/** These were labelled afterwards, and no rule was changed for them. */
const LATER = labelled('labelledLater.json');
const rightOf = (rows: Labelled[]): number => rows.filter(({ prompt, answer, type }) => guessTask(prompt, answer).type === type).length;

describe('The guess what a row asks for', () => {
  it('agrees with the hand-written labels of 160 real rows in at least 8 of 10', () => {
    const wrong = REAL.flatMap(({ prompt, answer, type }, i) => {
      const guess = guessTask(prompt, answer).type;
      return guess === type ? [] : [`${i} ${type} taken for ${guess}: ${prompt.slice(0, 60)}`];
    });
    const accuracy = 1 - wrong.length / REAL.length;
    console.log(`task types: ${REAL.length - wrong.length} of ${REAL.length} right (${(100 * accuracy).toFixed(1)} %)`);
    if (process.env['ETUDE_SHOW']) console.log(wrong.join('\n'));
    expect(REAL.length).toBeGreaterThanOrEqual(150);
    expect(new Set(REAL.map(({ type }) => type)).size).toBe(TASK_TYPES.length);
    expect(accuracy).toBeGreaterThanOrEqual(0.8);
  });

  it('agrees in at least 7 of 10 of 50 rows that no rule was written for', () => {
    console.log(`task types, rows never seen: ${rightOf(LATER)} of ${LATER.length} right`);
    expect(LATER).toHaveLength(50);
    expect(rightOf(LATER) / LATER.length).toBeGreaterThanOrEqual(0.7);
  });

  it('says the rules that decided, with their weights', () => {
    const { type, because } = guessTask('Summarize this text: cats sleep.', 'Cats sleep.');
    expect(type).toBe('summarisation');
    expect(because).toContainEqual({ type: 'summarisation', weight: 9, words: expect.stringContaining('summarise') });
    expect(guessTask('', '').type).toBe('other');
  });

  it("takes the guide's own examples for what they are", () => {
    const examples: [string, TaskType][] = [
      ['What is the mechanism of action of metformin?', 'question-answering'], ['When was penicillin discovered?', 'question-answering'],
      ['Summarize the following clinical study in 3 bullet points: …', 'summarisation'], ['Classify the following drug interaction as major, moderate, or minor: …', 'classification'],
      ['Extract all drug names mentioned in the following text: …', 'extraction'], ['Write a patient information leaflet for warfarin.', 'generation'],
      ['Write a Python function to calculate creatinine clearance using the Cockcroft-Gault formula.', 'code'],
    ];
    expect(examples.map(([prompt]) => guessTask(prompt, '').type)).toEqual(examples.map(([, type]) => type));
  });
});

describe('Advice on a set', () => {
  const of = (rows: number, findings: Partial<Record<FindingKind, number[]>> = {}, more: { usable?: number; cut?: number; leftOut?: number } = {}) => adviseOn({
    report: { rows, usableRows: more.usable ?? rows, cutRows: more.cut ?? 0, leftOutRows: more.leftOut ?? 0 },
    rowsOf: (kind) => Int32Array.from(findings[kind] ?? []),
    tasks: new Map<TaskType, number>([['reasoning', rows - 10], ['chat', 10]]),
  });

  it('goes by the size band, whose borders belong to the larger', () => {
    expect([999, 1000, 9999, 10_000, 99_999, 100_000].map((rows) => of(rows).band)).toEqual([
      'Under 1,000 examples', '1,000 to 10,000', '1,000 to 10,000', '10,000 to 100,000', '10,000 to 100,000', '100,000 and more',
    ]);
    expect(of(10_000).advice).toContain('deduplication');
  });

  it('scores a clean set 100 and shows what each part takes off', () => {
    expect(of(1000).quality.score).toBe(100);
    expect(of(1000).quality.parts.reduce((sum, part) => sum + part.weight, 0)).toBe(100);
    const half = Array.from({ length: 500 }, (_, i) => i);
    expect(of(1000, { duplicate: half }).quality.score).toBe(88);
    // A row with two faults is one bad row.
    expect(of(1000, { refusal: half, echo: half }).quality).toMatchObject({ score: 88, parts: expect.arrayContaining([expect.objectContaining({ name: 'Clean', value: 0.5 })]) });
    expect(of(1000, {}, { usable: 500, cut: 500 }).quality.score).toBe(75);
    expect(of(1000, {}, { usable: 500, leftOut: 500 }).quality.score).toBe(100);
  });

  it('says when one task drowns the rest', () => {
    expect(of(1000).mixAdvice).toContain('99 % of the rows are reasoning');
    expect(of(50).mixAdvice).toBeUndefined();
    expect(of(1000, { duplicate: [3] }).quality.parts[1]!.words).toBe('1 row repeats another, exactly or nearly');
    expect(of(1000).mix).toEqual([{ type: 'reasoning', rows: 990 }, { type: 'chat', rows: 10 }]);
  });
});
