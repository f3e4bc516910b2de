/** Nearly equal questions of two sets: precision on planted and on real rows. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { NearOverlap } from '../../src/data/detectors/nearOverlap.ts';
import type { Message } from '../../src/data/types.ts';

interface Labelled { prompt: string; answer: string }
const labelled = (file: string): Message[][] => (JSON.parse(readFileSync(fileURLToPath(new URL(`../fixtures/datasets/${file}`, import.meta.url)), 'utf8')) as Labelled[]).map(({ prompt, answer }) => ask(prompt, answer));
const ask = (prompt: string, answer?: string): Message[] => [{ role: 'user', content: prompt }, ...(answer === undefined ? [] : [{ role: 'assistant' as const, content: answer }])];

async function find(one: Message[][], other: Message[][], skip: number[] = []) {
  const near = new NearOverlap(one.length, other.length);
  one.forEach((row, i) => near.add('one', i, row));
  other.forEach((row, i) => near.add('other', i, row));
  const { rows, otherRows, partial } = await near.find({ one: async (i) => one[i]!, other: async (i) => other[i]! }, new Set(skip));
  expect(partial).toBe(false);
  return [...rows].map((row, i) => [row, otherRows[i]!]);
}

const REAL = labelled('labelled.json');
const LATER = labelled('labelledLater.json');

describe('Rows of one set that nearly ask what another asks', () => {
  it('are found among 210 real ones when case, punctuation and a word are changed, the answers taken away or kept: 9 of 10, each with its own', async () => {
    const rows = [...REAL, ...LATER];
    const long = rows.map((_, i) => i).filter((i) => rows[i]![0]!.content.split(/\s+/).length >= 25);
    const changed = (text: string) => text.toUpperCase().split(' ').map((word, i) => (i === 12 && !/\d/.test(word) ? 'other' : word)).join(' ').replaceAll('.', '!');
    const other = long.map((i) => ask(changed(rows[i]![0]!.content)));
    const found = await find(rows, other);
    // 134 and 136 ask the same and are both found with the first of the two.
    const right = found.filter(([row, at]) => long[at!] === row || (row === 136 && long[at!] === 134)).length;
    console.log(`near overlap: ${right} of ${long.length} planted rows found, ${found.length - right} others named`);
    expect(long.length).toBeGreaterThan(40);
    expect(right / long.length).toBeGreaterThanOrEqual(0.9);
    expect(found.length - right).toBe(0);
    const kept = await find(rows, long.map((i) => ask(changed(rows[i]![0]!.content), rows[i]![1]!.content)));
    expect(kept.length).toBe(found.length);
  });

  it('of two different parts of a public set: none', async () => {
    expect(await find(REAL, LATER)).toEqual([]);
  });

  it('are not those of a common frame around another text, sums with other figures, or rows that are the same', async () => {
    const frame = 'Say in one word whether the following review of a film by a person who saw it in a cinema is positive or negative:';
    expect(await find([ask(`${frame} I was bored.`, 'negative')], [ask(`${frame} What a joy.`, 'positive')])).toEqual([]);
    const sum = (boxes: number) => ask(`A shop sells ${boxes} boxes of twelve pencils each day of the week. How many pencils does the shop sell in one week of seven days?`, `${boxes * 84}`);
    expect(await find([sum(3)], [sum(4)])).toEqual([]);
    expect(await find([sum(3)], [sum(3)], [0])).toEqual([]);
    expect(await find([sum(3)], [sum(3)])).toEqual([[0, 0]]);
  });

  it('are told from system texts that every row shares, and found whatever these say', async () => {
    const system = (content: string, row: Message[]): Message[] => [{ role: 'system', content }, ...row];
    const long = 'You are a careful assistant of a library who answers in full sentences and never makes anything up.';
    expect(await find([system(long, ask('Who wrote Emma?'))], [system(long, ask('Who wrote Ulysses?'))])).toEqual([]);
    const question = 'Which three books of the library would you give to a child of the age of ten who likes the sea?';
    expect(await find([system(long, ask(question))], [system('Be brief.', ask(`${question} Thanks.`))])).toEqual([[0, 0]]);
  });
});
