/**
 * Owns what a training plan will take from the GPU, before anything is allocated: the same code that takes the buffers is
 * run against an arena that only counts.
 */
import type { LoraConfig } from '../config/recipe.ts';
import { countLoraParameters } from '../config/forecast.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { ModelConfig } from '../model/config.ts';
import { takeActivations, takeScratch } from '../model/activations.ts';

export interface MemoryForecast {
  /** Bytes. */
  weights: number;
  activations: number;
  logits: number;
  /** Parameters, gradients and both moments. */
  adapter: number;
  total: number;
}

export interface MemoryQuestion {
  config: ModelConfig;
  weightBytes: number;
  lora: LoraConfig;
  maxTokens: number;
  maxTargets: number;
  maxBinding: number;
}

export function forecastMemory(q: MemoryQuestion): MemoryForecast {
  const { config, lora, maxTokens, maxTargets } = q;
  let activations = 0;
  const counter = {
    take: (label: string, elements: number): Tensor => {
      activations += elements * 4;
      return { label, buffer: null as unknown as GPUBuffer, offset: 0, byteLength: elements * 4 };
    },
  };
  const layers = Array.from({ length: config.numHiddenLayers }, (_, layer) => lora.targetModules.map((module) => ({ layer, module }))).flat();
  takeActivations(config, counter, maxTokens, { entries: layers, config: lora }, 'none');
  takeScratch(config, counter, maxTokens, lora.r, lora.loraDropout > 0);
  const chunk = Math.min(maxTargets, 256, Math.max(1, Math.floor(q.maxBinding / (4 * config.vocabSize))));
  const logits = 4 * (chunk * config.vocabSize + 3 * maxTargets * config.hiddenSize);
  const adapter = 16 * countLoraParameters(config, lora);
  return { weights: q.weightBytes, activations, logits, adapter, total: q.weightBytes + activations + logits + adapter };
}
