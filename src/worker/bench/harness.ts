/**
 * Owns the face that comparison harnesses of other trainers expect: a shape in, steps and products out, on a GPU that they bring.
 * A step is LoRA of rank 16 on all seven projections over frozen bf16 weights, so compare by FLOP/s: about 4 FLOP a parameter and
 * token, where full training takes 6.
 */
import { openEngine, type Engine } from '../../engine/device.ts';
import { parseModelConfig } from '../../model/parseConfig.ts';
import { destroyWeights, loadWeights } from '../../model/weights.ts';
import { fullBatch, fullPairs } from './batch.ts';
import { timeMatmul } from './ceiling.ts';
import { stepFlops } from './flops.ts';
import { benchAdapter } from './runBench.ts';
import { Steps } from './steps.ts';
import { syntheticTensors } from './syntheticModel.ts';

export interface HarnessShape {
  /** Layers, hidden size, heads, feed-forward size, vocabulary, batch, tokens a row. */
  L: number;
  d: number;
  H: number;
  ff: number;
  V: number;
  B: number;
  T: number;
  /** Key/value heads; as many as heads where not given. */
  Hkv?: number;
}

export interface HarnessOptions {
  shape: HarnessShape;
  /** At least B x T token ids, row after row; made up where not given. */
  tokens?: ArrayLike<number>;
  gpu: GPU;
  /** Called with what is computed, once. */
  info?: (line: string) => void;
  /** Called with the engine that is made on `gpu`. */
  onEngine?: (engine: Engine) => void;
}

export interface Harness {
  kind: 'lora';
  /** Arithmetic of a step. */
  flopsPerStep: number;
  /** One optimizer step; resolves with its loss. */
  step(): Promise<number>;
  /** Resolves when the device has done everything so far. */
  sync(): Promise<void>;
  /** Milliseconds of one product of two n x n matrices in f32, the mean of `iters`. */
  matmul(n: number, iters: number): Promise<number>;
  destroy(): void;
}

const RANK = 16;

/** On a graphics card the kernels are measured first, so that what is compared is what a run would use. */
export async function create({ shape, tokens, gpu, info, onEngine }: HarnessOptions): Promise<Harness> {
  const { L, d, H, ff, V, B, T } = shape;
  const engine = await openEngine(gpu);
  onEngine?.(engine);
  const config = parseModelConfig({
    architectures: ['LlamaForCausalLM'], hidden_size: d, num_hidden_layers: L, num_attention_heads: H, num_key_value_heads: shape.Hkv ?? H,
    intermediate_size: ff, vocab_size: V, tie_word_embeddings: true, max_position_embeddings: T,
  });
  const weights = await loadWeights(engine, config, syntheticTensors(config));
  const adapter = benchAdapter(engine, config, RANK);
  const flat = fullBatch(V, B, T, tokens);
  const steps = await Steps.create({ model: { engine, config, weights }, adapter, flat, length: T });
  const flopsPerStep = stepFlops(config, adapter.config, { tokens: B * T, targets: flat.targets, pairs: fullPairs(B, T) }).total;
  info?.(`Etude on ${engine.info.description}: LoRA r ${RANK} on all projections, ${(flopsPerStep / 1e9).toFixed(2)} GFLOP a step`);
  return {
    kind: 'lora',
    flopsPerStep,
    step: async () => (await steps.push()).loss,
    sync: () => engine.device.queue.onSubmittedWorkDone(),
    matmul: (n, iters) => timeMatmul(engine, n, 'f32', iters, { tune: !engine.info.software }),
    destroy() {
      steps.destroy();
      adapter.destroy();
      destroyWeights(engine, weights);
      engine.destroy();
    },
  };
}
