/** Pure pieces of the mask inspector and the overlap view: loss as heat, a row's place, counts of pairs in words. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TokenLosses } from '../../src/worker/protocol.ts';
import { heatAt, lossWords, meanSentence, valueAt, type ShownLosses } from '../../src/ui/data/heat.ts';
import { asTrained } from '../../src/ui/data/MaskView.tsx';
import { overlapWords } from '../../src/ui/data/OverlapView.tsx';
import { placeWords, rowsInWords } from '../../src/ui/data/RowPlace.tsx';

const losses = (...values: (number | null)[]): TokenLosses => ({ losses: values, mean: 1, perplexity: Math.E });
const shown = (view: ShownLosses['view'], base: TokenLosses, tuned: TokenLosses | null = null): ShownLosses => ({ view, base, tuned });

test('each step of the loss scale is a range of probabilities, and the first token has none', () => {
  const of = shown('base', losses(null, ...[0.95, 0.7, 0.3, 0.05, 0.001].map((p) => -Math.log(p))));
  expect([0, 1, 2, 3, 4, 5].map((at) => heatAt(of, at)?.step ?? null)).toEqual([null, 0, 1, 2, 3, 4]);
  expect(lossWords(of, 3)).toEqual([{ term: 'Loss', words: '1.20 (30 %)' }]);
  expect(lossWords(of, 0)).toEqual([]);
});

test('a difference is after less before: its sign is the side of the scale, and what hardly changed has no colour', () => {
  const of = shown('difference', losses(2, 2, 2, 2, 2), losses(0.5, 1.5, 2.05, 2.5, 4));
  expect([0, 1, 2, 3, 4].map((at) => heatAt(of, at)!.step)).toEqual([-2, -1, 0, 1, 2]);
  expect(lossWords(of, 0)).toEqual([{ term: 'Base', words: '2.00 (14 %)' }, { term: 'Tuned', words: '0.50 (61 %)' }, { term: 'Change', words: '−1.50' }]);
  fc.assert(fc.property(fc.double({ min: 0, max: 20, noNaN: true }), fc.double({ min: 0, max: 20, noNaN: true }), (before, after) => {
    const pair = shown('difference', losses(before), losses(after));
    const step = heatAt(pair, 0)!.step;
    expect(Math.sign(step) === 0 || Math.sign(step) === Math.sign(valueAt(pair, 0)!)).toBe(true);
  }));
});

test('the means are said in a sentence, before and after, and not at all where nothing is trained', () => {
  const base = { losses: [], mean: 2.5, perplexity: Math.exp(2.5) };
  expect(meanSentence(base, null)).toBe('A trained token costs the base model 2.50 nats on average (perplexity 12.2).');
  expect(meanSentence(base, { losses: [], mean: 0.25, perplexity: Math.exp(0.25) })).toBe('A trained token costs the base model 2.50 nats on average (perplexity 12.2) and the tuned model 0.25 (perplexity 1.28): 2.25 less.');
  expect(meanSentence(base, { ...base })).toContain('as much as before');
  expect(meanSentence({ losses: [null, 3], mean: null, perplexity: null }, null)).toBe('No token of this row is trained, so there is no mean to give.');
});

test('a packed row says its sequence and who is beside it, a held-out one that it is never trained', () => {
  const pack = { number: 2, of: 31, from: 118, tokens: 402, capacity: 512, rows: [7, 8, 12] };
  expect(placeWords({ part: 'train', pack }, 8)).toBe('Packed sequence 3 of 31, from position 118 of 402 tokens (512 fit), with rows 8 and 13. Packed rows do not see each other.');
  expect(placeWords({ part: 'train', pack: { ...pack, rows: [8] } }, 8)).toContain('(512 fit), alone.');
  expect(placeWords({ part: 'heldOut', pack: null }, 8)).toContain('never trained');
  expect(placeWords({ part: 'train', pack: null }, 8)).toBeNull();
  expect(rowsInWords([4])).toBe('row 5');
  expect(rowsInWords([0, 1, 2, 3, 4, 5, 6, 7])).toBe('rows 1, 2, 3, 4, 5, 6 and 2 more');
});

test('an overlap is counted in words, of one row, of many and of none', () => {
  const count = (same: number, near: number) => overlapWords({ count: same, near: { count: near, rows: [], otherRows: [] } }, 480, 'test.jsonl');
  expect(count(0, 0)).toBe('No row asks what test.jsonl asks, nor nearly that.');
  expect(count(12, 3)).toBe('12 of 480 rows ask what test.jsonl asks. 3 more ask nearly that.');
  expect(count(1, 1)).toBe('1 of 480 rows asks what test.jsonl asks. 1 more asks nearly that.');
  expect(count(0, 2)).toBe('No row asks exactly what test.jsonl asks. 2 ask nearly that.');
});

test('a row that is left out shows no token as trained, whatever its turns are set to', () => {
  const token = (trained: boolean) => ({ id: 1, text: 'a', trained, special: false, cut: false, from: 'output' });
  const row = { index: 0, line: 1, totalTokens: 2, trainedTokens: 1, keptTokens: 2, turns: [{ role: 'assistant', messageIndex: 0, trained: true, tokens: [token(false), token(true)] }] };
  expect(asTrained(row)).toBe(row);
  const off = asTrained({ ...row, leftOutBy: ['Rows switched off one by one'] });
  expect([off.trainedTokens, off.turns[0]!.trained, ...off.turns[0]!.tokens.map(({ trained }) => trained)]).toEqual([0, false, false, false]);
});
