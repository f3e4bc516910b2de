import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { MetricsFile } from '../../src/cli/metricsFile.ts';
import type { StepMetrics } from '../../src/worker/protocol.ts';

const folder = mkdtempSync(join(tmpdir(), 'etude-metrics-'));
afterAll(() => rmSync(folder, { recursive: true }));

const metrics = (step: number): StepMetrics => ({ step, epoch: step / 4, loss: 3 - step / 10, learningRate: 2e-4, gradNorm: 1.5, numTokens: 100 * step, tokensPerSecond: 250 });
const lines = (file: MetricsFile): unknown[] => readFileSync(file.path, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line) as unknown);

test('a logged step becomes one line with the names other trainers use', () => {
  const file = new MetricsFile(join(folder, 'a.jsonl'));
  file.step(metrics(1));
  file.flush();
  expect(lines(file)).toEqual([{ step: 1, epoch: 0.25, loss: 2.9, learning_rate: 2e-4, grad_norm: 1.5, num_tokens: 100, tokens_per_second: 250 }]);
});

test('a run that never began leaves no file, and a new run replaces the lines of an old one', () => {
  const file = new MetricsFile(join(folder, 'e.jsonl'));
  file.flush();
  expect(existsSync(file.path)).toBe(false);
  writeFileSync(file.path, 'old\n');
  file.step(metrics(1));
  file.flush();
  expect(lines(file)).toHaveLength(1);
});

test('a validation loss joins the line of its step although it comes later', () => {
  const file = new MetricsFile(join(folder, 'b.jsonl'));
  file.step(metrics(1));
  file.step(metrics(2));
  file.evaluation(2, 1.25);
  file.step(metrics(3));
  file.flush();
  file.flush();
  expect(lines(file).map((line) => [(line as { step: number }).step, (line as { eval_loss?: number }).eval_loss])).toEqual([[1, undefined], [2, 1.25], [3, undefined]]);
});

test('a validation loss at a step that was not logged has a line of its own', () => {
  const file = new MetricsFile(join(folder, 'c.jsonl'));
  file.evaluation(0, 2.5);
  file.step(metrics(10));
  file.evaluation(15, 1.5);
  file.step(metrics(20));
  file.flush();
  expect(lines(file)).toMatchObject([{ step: 10 }, { step: 15, eval_loss: 1.5 }, { step: 20 }]);
});

test('lines reach the disk while the run goes on', () => {
  const file = new MetricsFile(join(folder, 'd.jsonl'));
  file.step(metrics(1));
  file.step(metrics(2));
  expect(lines(file)).toHaveLength(1);
});
