/**
 * What near copies cost in a large set, for `npm run bench:data -- --near`: near duplicates inside it, and near overlap with
 * another, rows of 110 words with one in fifty planted. Making the rows is not counted. Memory is all of JavaScript's, garbage included.
 */
import { NearDuplicates } from '../src/data/detectors/nearDuplicates.ts';
import { overlap, type Side } from '../src/data/overlap.ts';
import { draw } from '../src/data/random.ts';
import type { Mapping, Message, StoredRow } from '../src/data/types.ts';

const MAPPING: Mapping = { shape: 'alpaca', instruction: 'instruction', output: 'output' };
const WORDS = Array.from({ length: 5000 }, (_, i) => `${['ka', 'lo', 'mi', 'ne', 'pu', 'ra', 'so', 'ti'][i % 8]}${i.toString(36).replaceAll(/\d/g, (d) => 'abcdefghij'[Number(d)]!)}`);
const WORDS_A_ROW = 110;
const EVERY = 50;

/** Common words are common. */
const wordsOf = (text: number): string[] => Array.from({ length: WORDS_A_ROW }, (_, i) => WORDS[Math.floor((draw(text, Math.imul(i + 1, 0x9e37_79b1), 7) / 2 ** 32) ** 3 * WORDS.length)]!);
const isPlanted = (row: number): boolean => row % EVERY === EVERY - 1;
const two = (words: string[]): { instruction: string; output: string } => ({ instruction: words.slice(0, 40).join(' '), output: words.slice(40).join(' ') });

/** Planted rows are the text of another with two words changed. */
function changed(words: string[]): string[] {
  words[13] = words[81] = 'changed';
  return words;
}

let peakMB = 0;
let own = 0;
let looks = 0;
function watched<T>(make: () => T): T {
  const from = performance.now();
  const made = make();
  own += performance.now() - from;
  if (++looks % 10_000 === 0) {
    const { heapUsed, external } = process.memoryUsage();
    peakMB = Math.max(peakMB, (heapUsed + external) / 1e6);
  }
  return made;
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; words: string }> {
  [peakMB, own] = [0, 0];
  const begun = performance.now();
  const cpu = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(cpu);
  return { result, words: `${((performance.now() - begun - own) / 1000).toFixed(0)} s without making the rows, ${((user + system) / 1e6).toFixed(0)} s of CPU time with it, ${peakMB.toFixed(0)} MB at most` };
}

async function nearDuplicates(rows: number): Promise<void> {
  const messagesOf = (row: number): Message[] => watched(() => {
    const { instruction, output } = two(isPlanted(row) ? changed(wordsOf(row - 7)) : wordsOf(row));
    return [{ role: 'user', content: instruction }, { role: 'assistant', content: output }];
  });
  const { result: { rows: found, firstOf, partial }, words } = await timed(async () => {
    const near = new NearDuplicates(rows);
    for (let row = 0; row < rows; row++) near.add(row, messagesOf(row));
    return near.find(async (indices) => indices.map(messagesOf));
  });
  const right = found.filter((row, i) => isPlanted(row) && firstOf[i] === row - 7).length;
  console.log(`Near copies   ${rows.toLocaleString('en')} rows in ${words}: ${right.toLocaleString('en')} of ${(rows / EVERY).toLocaleString('en')} planted, ${found.length - right} others${partial ? ', not all candidates compared' : ''}`);
}

async function nearOverlap(rows: number, otherRows: number): Promise<void> {
  const side = (count: number, textOf: (row: number) => string[]): Side => {
    const at = (index: number): StoredRow => watched(() => ({ index, line: index + 1, value: two(textOf(index)) }));
    return { count, mapping: MAPPING, read: async (row) => at(row), rows: (async function* () { for (let row = 0; row < count; row++) yield at(row); })() };
  };
  const one = side(rows, (row) => wordsOf(row));
  const other = side(otherRows, (row) => (isPlanted(row) ? changed(wordsOf(row)) : wordsOf(rows + row)));
  const { result: { near }, words } = await timed(() => overlap(one, other));
  const right = near.rows.filter((row, i) => isPlanted(row) && near.otherRows[i] === row).length;
  console.log(`Near overlap  ${rows.toLocaleString('en')} rows with ${otherRows.toLocaleString('en')} in ${words}: ${right.toLocaleString('en')} of ${(Math.min(rows, otherRows) / EVERY).toLocaleString('en')} planted, ${near.rows.length - right} others${near.partial ? ', not all candidates compared' : ''}`);
}

export async function nearCopies(rows: number): Promise<void> {
  await nearDuplicates(rows);
  await nearOverlap(rows, Math.ceil(rows / 100));
  await nearOverlap(rows, rows);
}
