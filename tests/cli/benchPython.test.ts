import { expect, test } from 'vitest';
import { findPython, pythonArguments, pythonLines, runPython, type PythonJob } from '../../src/cli/benchPython.ts';
import { parseShape } from '../../src/worker/bench/shapes.ts';

const job = (script: string, shape = 'Qwen3-0.6B,B=2,T=64'): PythonJob => ({ script, shape: parseShape(shape, { batch: 1, length: 8 }), r: 16, steps: 3, warmup: 1, software: true });

test('Python is asked for the shape that was measured', () => {
  const words = pythonArguments(job('')).join(' ');
  expect(words).toContain('--layers 28 --hidden 1024 --heads 16 --kv-heads 8 --head-dim 128 --intermediate 3072 --vocab 151936 --batch 2 --length 64 --rank 16');
  expect(words).toContain('--device cpu --qk-norm');
  expect(pythonArguments({ ...job('', 'tiny'), software: false })).toEqual(expect.arrayContaining(['--device', 'cuda']));
  expect(pythonArguments(job('', 'tiny'))).not.toContain('--qk-norm');
});

test('a Python that is not there, or whose script fails, is a reason in words and no figure', async () => {
  expect(await findPython('/opt/python')).toBe('/opt/python');
  const missing = await runPython('/nowhere/python', job(''));
  expect(missing).toEqual({ failed: expect.stringContaining('/nowhere/python does not start') });
  // Node reads a script from standard input by the same words as Python does.
  expect(await runPython(process.execPath, job('console.error("ModuleNotFoundError: torch"); process.exit(1)'))).toEqual({ failed: 'ModuleNotFoundError: torch' });
  expect(pythonLines(missing, 10)).toEqual([expect.stringMatching(/^pytorch +not measured: /)]);
});

test('the last line that a script prints is its figures, and the ratio is our time over its', async () => {
  const figures = { device: 'CPU', torch: '2', implementation: 'plain torch', runs: [{ dtype: 'f32', ms: { median: 20, low: 19, high: 22 }, tokensPerSecond: 100, firstLoss: 3, lastLoss: 2, peakBytes: null }] };
  const outcome = await runPython(process.execPath, job(`console.log('a warning'); console.log(${JSON.stringify(JSON.stringify(figures))})`));
  expect(outcome).toEqual(figures);
  expect(pythonLines(outcome, 30)[1]).toContain('ours takes 1.50 x its time');
});
