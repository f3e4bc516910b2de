/**
 * Owns what a session knows of the device's memory, and what it says of a run's: the plan beforehand, the choice of how much is computed
 * again, and what would fit after something did not.
 */
import { toUserMessage, type UserMessage } from '../../config/errors.ts';
import { outOfMemory } from '../../config/messages.ts';
import type { Recipe } from '../../config/recipe.ts';
import { afterFailure, memoryBudget, type MemoryBudget, type MemoryKnowledge } from '../../train/budget.ts';
import { widestBytes, type MemoryQuestion } from '../../train/memory.ts';
import { planMemory, whatFits, type MemoryPlan, type PolicyForecast } from '../../train/planner.ts';
import type { MemoryOutlook } from '../protocol.ts';
import type { RunFeed } from './feed.ts';
import type { LoadedModel } from './loadedModel.ts';

export const isOutOfMemory = (error: unknown): boolean => toUserMessage(error).code === 'device.outOfMemory';

/** What is known of one device's memory. */
export class DeviceMemory {
  #known: MemoryKnowledge = { set: null, failedAt: null };

  budget(maxBufferSize: number): MemoryBudget {
    return memoryBudget(this.#known, maxBufferSize);
  }

  /** A person's own limit in bytes; null takes it back. */
  limit(bytes: number | null): void {
    this.#known = { ...this.#known, set: bytes };
  }

  failed(bytes: number): void {
    this.#known = afterFailure(this.#known, bytes);
  }

  /** What fits now disproves an earlier failure: other programs gave memory back. */
  fitted(bytes: number): void {
    if (this.#known.failedAt !== null && bytes >= this.#known.failedAt) this.#known = { ...this.#known, failedAt: null };
  }

  /** Another device. */
  forget(): void {
    this.#known = { ...this.#known, failedAt: null };
  }
}

export function memoryQuestion(model: LoadedModel, feed: RunFeed, recipe: Recipe): MemoryQuestion {
  const { tokens, targets, positions } = feed.largest;
  return {
    config: model.config, weightBytes: model.summary.weightBytes, lora: recipe.lora, maxTokens: tokens, maxTargets: targets, maxPositions: positions,
    maxBinding: model.gpu.engine.maxBinding, contextLength: model.contextLength,
  };
}

export function planRun(model: LoadedModel, feed: RunFeed, recipe: Recipe, memory: DeviceMemory): { plan: MemoryPlan; budget: MemoryBudget } {
  const budget = memory.budget(model.gpu.engine.limits.maxBufferSize);
  return { plan: planMemory(memoryQuestion(model, feed, recipe), recipe.training.gradientCheckpointing, budget.bytes), budget };
}

/** The plan as the page shows it. */
export function outlook(model: LoadedModel, feed: RunFeed, recipe: Recipe, memory: DeviceMemory): MemoryOutlook {
  const { plan, budget } = planRun(model, feed, recipe, memory);
  const { chosen } = plan;
  const fits = chosen.fits && !tooWide(model, feed);
  return {
    ...chosen.memory,
    policy: chosen.policy,
    extraFlops: chosen.extraFlops,
    fits,
    policies: plan.policies.map((p) => ({ policy: p.policy, total: p.memory.total, saved: plan.policies[0]!.memory.total - p.memory.total, extraFlops: p.extraFlops, fits: p.fits && !tooWide(model, feed) })),
    budget,
    smaller: fits ? [] : smallerRuns(model, feed, recipe, chosen, budget.bytes),
  };
}

/** No amount of memory helps a tensor that no binding holds. */
export const tooWide = (model: LoadedModel, feed: RunFeed): boolean => widestBytes(model.config, feed.largest.tokens) > model.gpu.engine.maxBinding;

const smallerRuns = (model: LoadedModel, feed: RunFeed, recipe: Recipe, tried: PolicyForecast, budget: number) => whatFits({
  ...memoryQuestion(model, feed, recipe), batchSize: recipe.training.perDeviceTrainBatchSize, maxLength: Math.min(recipe.data.maxLength, feed.largest.positions),
  recompute: tried.policy, quantization: model.summary.quantization, stored: model.summary.dtype,
}, budget);

/** What to say when a run of which `tried` was the smallest form did not fit. */
export function noRoomFor(model: LoadedModel, feed: RunFeed, recipe: Recipe, tried: PolicyForecast, memory: DeviceMemory): UserMessage {
  const { engine } = model.gpu;
  const { bytes } = memory.budget(engine.limits.maxBufferSize);
  const needed = tried.memory.total;
  return outOfMemory({
    purpose: `training with ${recipe.training.perDeviceTrainBatchSize} rows of ${recipe.data.maxLength.toLocaleString('en')} tokens`,
    needed, inUse: engine.memory.live, fits: null, smaller: smallerRuns(model, feed, recipe, tried, Math.min(bytes, 0.9 * needed)),
  });
}
