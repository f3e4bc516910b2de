/** The same step in PyTorch + PEFT, by a Python that is there: bench/pytorch_peft.py, started after our own figures are taken. */
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import type { BenchShape } from '../worker/bench/shapes.ts';
import type { Spread } from '../worker/bench/runBench.ts';
import { ms } from './benchLines.ts';

export interface PythonFigures {
  device: string;
  torch: string;
  peft?: string;
  transformers?: string;
  /** Why plain torch had to do. */
  missing?: string;
  implementation: 'transformers + peft' | 'plain torch';
  runs: { dtype: 'f32' | 'bf16'; ms: Spread; tokensPerSecond: number; firstLoss: number; lastLoss: number; peakBytes: number | null }[];
}
/** Figures, or why there are none. */
export type PythonOutcome = PythonFigures | { failed: string };

export interface PythonJob {
  /** The script's text: what is packed for a bare machine has no folder of ours. */
  script: string;
  shape: BenchShape;
  r: number;
  steps: number;
  warmup: number;
  /** A software adapter is held against the processor that it computes on. */
  software: boolean;
}

/** The Python asked for; for 'auto' the first on PATH that has torch, or null. */
export async function findPython(asked: string): Promise<string | null> {
  if (asked !== 'auto') return asked;
  for (const name of ['python3', 'python']) {
    const found = await promisify(execFile)(name, ['-c', 'import torch']).then(() => true, () => false);
    if (found) return name;
  }
  return null;
}

export function pythonArguments({ shape: { config, batch, length }, r, steps, warmup, software }: PythonJob): string[] {
  const numbers = {
    layers: config.numHiddenLayers, hidden: config.hiddenSize, heads: config.numAttentionHeads, 'kv-heads': config.numKeyValueHeads, 'head-dim': config.headDim,
    intermediate: config.intermediateSize, vocab: config.vocabSize, batch, length, rank: r, steps, warmup,
  };
  return [...Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)]), '--device', software ? 'cpu' : 'cuda', ...(config.qkNorm ? ['--qk-norm'] : [])];
}

export async function runPython(python: string, job: PythonJob): Promise<PythonOutcome> {
  return new Promise((resolve) => {
    const child = spawn(python, ['-', ...pythonArguments(job)], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, HF_HUB_OFFLINE: '1', TOKENIZERS_PARALLELISM: 'false' } });
    let [out, errors] = ['', ''];
    child.stdout.on('data', (data) => (out += String(data)));
    child.stderr.on('data', (data) => (errors += String(data)));
    child.on('error', (error) => resolve({ failed: `${python} does not start: ${error.message}` }));
    child.on('close', (code) => {
      const line = out.trim().split('\n').at(-1) ?? '';
      if (code === 0 && line.startsWith('{')) resolve(JSON.parse(line) as PythonFigures);
      else resolve({ failed: errors.trim().split('\n').at(-1) || `${python} ended with ${code}` });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(job.script);
  });
}

/** @param ours milliseconds of our step, of this run */
export function pythonLines(outcome: PythonOutcome, ours: number): string[] {
  if ('failed' in outcome) return [`pytorch      not measured: ${outcome.failed}`];
  const { device, torch, peft, implementation, runs } = outcome;
  return [
    `pytorch      torch ${torch}, ${implementation}${peft === undefined ? '' : ` ${peft}`}, on ${device}`,
    ...runs.map((run) => `  ${run.dtype.padEnd(10)} ${ms(run.ms.median)} (${ms(run.ms.low)} to ${ms(run.ms.high)}), ${run.tokensPerSecond.toFixed(0)} tokens/s: ours takes ${(ours / run.ms.median).toFixed(2)} x its time`),
  ];
}
