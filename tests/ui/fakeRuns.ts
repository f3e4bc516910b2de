/** Runs for the fake worker: a loss that falls and is noisy in the same way every time. */
import { defaultRecipe, type Recipe } from '../../src/config/recipe.ts';
import type { DatasetSummary, RunDetail, StepMetrics } from '../../src/worker/protocol.ts';

/** The same number for the same step, in [0, 1). */
const noise = (step: number): number => { const x = Math.sin(step * 12.9898) * 43_758.5453; return x - Math.floor(x); };

export function fakeLoss(step: number, total: number): StepMetrics {
  const progress = step / total;
  const warm = Math.min(1, step / (total * 0.05));
  const evalEvery = Math.max(1, Math.round(total / 18));
  const base = 1.25 + 1.1 * Math.exp(-progress * 6);
  return {
    step, epoch: progress * 3, loss: base + (noise(step) - 0.5) * 0.25, learningRate: 2e-4 * (warm < 1 ? warm : (1 - progress) / 0.95),
    gradNorm: 0.55 + 1.1 * Math.exp(-progress * 14) + noise(step + 7) * 0.15, numTokens: step * 2900, tokensPerSecond: 2860 + noise(step) * 40,
    ...(step % evalEvery === 0 ? { evalLoss: base + 0.08 + Math.max(0, progress - 0.65) * 0.45 } : {}),
  };
}

interface FakeRunInput { id: string; recipe?: Recipe; dataset?: Pick<DatasetSummary, 'id' | 'name' | 'rows'>; totalSteps?: number; steps?: number; status?: RunDetail['status']; name?: string; createdAt?: number }

export function fakeRun({ id, recipe = defaultRecipe(), dataset, totalSteps = 120, steps = 0, status = 'running', name, createdAt = Date.now() }: FakeRunInput): RunDetail {
  const metrics = Array.from({ length: steps }, (_, i) => fakeLoss(i + 1, totalSteps));
  const evals = metrics.flatMap((m) => (m.evalLoss === undefined ? [] : [m.evalLoss]));
  return {
    id, name: name ?? 'Built-in model, rank 8', status, createdAt, updatedAt: createdAt, recipe, step: steps, totalSteps,
    model: { source: 'builtin', name: 'builtin', architecture: 'LlamaForCausalLM' },
    dataset: { id: dataset?.id ?? 'builtin-builtin', name: dataset?.name ?? 'builtin', rows: dataset?.rows ?? 480 },
    finalLoss: metrics.at(-1)?.loss ?? null, bestEvalLoss: evals.length ? Math.min(...evals) : null, seconds: steps * 1.2, resumable: status === 'interrupted',
    metrics, answers: [], alerts: [],
  };
}
