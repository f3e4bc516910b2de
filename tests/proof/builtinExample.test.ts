/** The built-in example in full: the recipe as it ships, then exact match on the held-out questions before and after. */
import 'fake-indexeddb/auto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sourceFromPath } from '../../src/cli/fsSource.ts';
import { builtinRecipe } from '../../src/config/builtinRecipe.ts';
import { Session } from '../../src/worker/session/session.ts';
import { testGpu } from '../setup/gpu.ts';

interface Question {
  instruction: string;
  input: string;
  output: string;
  type: string;
}

const context = { signal: new AbortController().signal, progress: () => {} };
const builtin = resolve('public/builtin');
let session: Session;
let questions: Question[];

/** Exact match in percent over all held-out questions, greedy, each as a fresh chat. */
async function exactMatch(which: 'base' | 'tuned', transcript: string[]): Promise<number> {
  let right = 0;
  for (const [i, q] of questions.entries()) {
    const content = q.input ? `${q.instruction}\n${q.input}` : q.instruction;
    const { text } = await session.handle('chat.generate', {
      streamId: `${which} ${i}`, messages: [{ role: 'user', content }], template: 'model', which,
      sampling: { temperature: 0, topK: 0, topP: 1, maxNewTokens: 40, seed: 0 },
    }, context);
    if (text.trim() === q.output.trim()) right++;
    if (i % 40 === 0) transcript.push(`${which.padEnd(5)}  ${content}  ->  ${text.trim()}`);
  }
  return (100 * right) / questions.length;
}

beforeAll(async () => {
  session = new Session({ gpu: await testGpu(), loadBuiltin: (path) => sourceFromPath(resolve(builtin, path)), emit: () => {}, pageUrl: null, database: 'proof' });
  const lines = (await readFile(resolve(builtin, 'data/heldout.jsonl'), 'utf8')).split('\n').filter(Boolean);
  questions = lines.map((line) => JSON.parse(line) as Question);
});

afterAll(() => session.destroy());

describe('the built-in example', () => {
  it('answers at most 2 % of the held-out questions before and at least 85 % after', async () => {
    await session.handle('model.load', { source: { kind: 'builtin' } }, context);
    const dataset = await session.handle('data.import', { source: { kind: 'builtin' } }, context);
    const transcript: string[] = [];
    const before = await exactMatch('base', transcript);
    const run = await session.train(dataset.id, builtinRecipe(), { answers: false });
    const after = await exactMatch('tuned', transcript);
    console.log([
      `exact match on ${questions.length} held-out questions: ${before.toFixed(1)} % before, ${after.toFixed(1)} % after`,
      `${run.step} steps, ${run.metrics.at(-1)!.numTokens} tokens, ${run.seconds.toFixed(0)} s, last loss ${run.finalLoss!.toFixed(4)}`,
      ...transcript,
    ].join('\n'));
    expect(run.step).toBe(120);
    expect(before).toBeLessThanOrEqual(2);
    expect(after).toBeGreaterThanOrEqual(85);
  }, 40 * 60_000);
});
