/**
 * Owns the comparison with other trainers in one process, on one adapter, at one shape. Trainers take turns, so that whatever else the machine
 * does meets all of them; the fastest of a trainer's turns counts. A trainer that does not run says why.
 */
import { loraConfigSchema, TARGET_MODULES } from '../../config/recipe.ts';
import { parseModelConfig } from '../../model/parseConfig.ts';
import { fullPairs } from './batch.ts';
import { fullStepFlops, stepFlops } from './flops.ts';
import { create, type HarnessShape } from './harness.ts';

export type PeerKind = 'lora' | 'full';

/** What bench/peers/*.mjs return for a package. */
export interface PeerTrainer {
  /** One optimizer step, finished on the device; its loss. */
  step(): Promise<number>;
  /** Milliseconds of a product of two n x n matrices in f32, the mean of `iters`; null where the package has none to offer. */
  matmul: ((n: number, iters: number) => Promise<number>) | null;
  destroy(): void;
}
export interface Peer {
  name: string;
  version: string;
  kinds: readonly PeerKind[];
  create(options: { shape: Required<HarnessShape>; ids: Int32Array; kind: PeerKind }): Promise<PeerTrainer>;
}

export interface CompareOptions {
  gpu: GPU;
  shape: Required<HarnessShape>;
  peers: readonly Peer[];
  /** Sides of the matrix products. */
  sides: readonly number[];
  /** Turns of each trainer, and steps of a turn. */
  rounds: number;
  steps: number;
}

export interface TrainerFigures {
  name: string;
  version: string;
  kind: PeerKind;
  /** Why nothing was measured, in words. */
  failed?: string;
  step?: { ms: number; flops: number; gflops: number; firstLoss: number; lastLoss: number };
  /** GFLOP/s by side. */
  matmul?: Record<string, number>;
}

export interface Comparison {
  device: string;
  shape: Required<HarnessShape>;
  /** Ours first. */
  trainers: TrainerFigures[];
}

interface Entry {
  figures: TrainerFigures;
  flops: number;
  create(): Promise<PeerTrainer>;
  trainer?: PeerTrainer;
  times: number[];
  losses: number[];
}

/** Floating-point operations of one step of each kind. */
export function workOf({ L, d, H, Hkv, ff, V, B, T }: Required<HarnessShape>): Record<PeerKind, number> {
  const config = parseModelConfig({
    architectures: ['LlamaForCausalLM'], hidden_size: d, num_hidden_layers: L, num_attention_heads: H, num_key_value_heads: Hkv, intermediate_size: ff, vocab_size: V, tie_word_embeddings: true,
    max_position_embeddings: T,
  });
  const work = { tokens: B * T, targets: B * (T - 1), pairs: fullPairs(B, T) };
  return { lora: stepFlops(config, loraConfigSchema.parse({ r: 16, targetModules: TARGET_MODULES }), work).total, full: fullStepFlops(config, work) };
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]!.slice(0, 300);

export async function comparePeers({ gpu, shape, peers, sides, rounds, steps }: CompareOptions, say: (line: string) => void = () => {}): Promise<Comparison> {
  let device = '';
  const ids = Int32Array.from({ length: shape.B * shape.T }, (_, i) => (i * 7919 + 13) % shape.V);
  const work = workOf(shape);
  const entry = (name: string, version: string, kind: PeerKind, make: Entry['create']): Entry => ({ figures: { name, version, kind }, flops: work[kind], create: make, times: [], losses: [] });
  const entries = [
    entry('etude', '', 'lora', () => create({ shape, tokens: ids, gpu, onEngine: (engine) => (device = engine.info.description) })),
    ...peers.flatMap((peer) => peer.kinds.map((kind) => entry(peer.name, peer.version, kind, () => peer.create({ shape, ids, kind })))),
  ];
  /** Does `act` for every trainer that still runs; one that fails is out, with its reason. */
  const each = async (act: (one: Entry, trainer: PeerTrainer) => Promise<void>): Promise<void> => {
    for (const one of entries) {
      if (!one.trainer) continue;
      try {
        await act(one, one.trainer);
      } catch (error) {
        one.figures.failed = reason(error);
        delete one.trainer;
      }
    }
  };
  try {
    for (const one of entries) {
      say(`${one.figures.name} ${one.figures.kind} starts`);
      await one.create().then((trainer) => (one.trainer = trainer), (error: unknown) => (one.figures.failed = reason(error)));
    }
    // Two to warm up: the second may still compile what depends on the first.
    await each(async ({ losses }, trainer) => {
      losses.push(await trainer.step(), await trainer.step());
    });
    for (let round = 0; round < rounds; round++) {
      say(`steps, round ${round + 1} of ${rounds}`);
      await each(async ({ losses, times }, trainer) => {
        const start = performance.now();
        for (let i = 0; i < steps; i++) losses.push(await trainer.step());
        times.push((performance.now() - start) / steps);
      });
    }
    await each(async ({ figures, times, losses, flops }) => {
      const ms = Math.min(...times);
      figures.step = { ms, flops, gflops: flops / ms / 1e6, firstLoss: losses[0]!, lastLoss: losses.at(-1)! };
    });
    for (const n of sides) {
      for (let round = 0; round < rounds; round++) {
        say(`product of ${n}, round ${round + 1} of ${rounds}`);
        await each(async ({ figures }, trainer) => {
          // A package's product is the same whatever it trains.
          if (!trainer.matmul || entries.find((e) => e.figures.name === figures.name && e.trainer)?.figures !== figures) return;
          const iters = Math.min(64, Math.max(1, Math.round(2e9 / (2 * n ** 3))));
          const gflops = (2 * n ** 3) / (await trainer.matmul(n, iters)) / 1e6;
          (figures.matmul ??= {})[n] = Math.max(gflops, figures.matmul[n] ?? 0);
        });
      }
    }
    return { device, shape, trainers: entries.map(({ figures }) => figures) };
  } finally {
    for (const { trainer } of entries) trainer?.destroy();
  }
}
