/**
 * Owns the loss of single tokens: one row through the model without gradients, and what each token costs given those before it.
 * Its buffers live as long as the question. Refuses to know which tokens are trained and how losses are shown.
 */
import { EtudeError } from '../config/errors.ts';
import { outOfMemory } from '../config/messages.ts';
import { Arena } from '../engine/arena.ts';
import { buildProgram, StepUniform, Submitter, type Program } from '../engine/program.ts';
import { createTensor, destroyTensor, readTensor } from '../engine/tensor.ts';
import { takeActivations } from './activations.ts';
import { BatchInputs, flattenBatch } from './batchInputs.ts';
import { windowsOf } from './config.ts';
import { forwardOps, type DecoderContext } from './decoder.ts';
import { lossOps, takeHead } from './head.ts';
import type { ModelOnGpu } from './inference.ts';
import type { LoraAdapter } from './lora.ts';
import { createRope, destroyRope } from './rope.ts';

/**
 * Cross-entropy of every token of a row in nats, f32 [T]: element t is that of ids[t] given ids[0 .. t - 1]. Element 0 is NaN, since
 * nothing predicts the first token. `adapter` null asks the base model. Throws EtudeError device.outOfMemory.
 * @param ids [T] token ids, each below the vocabulary's size
 */
export async function tokenLosses(model: ModelOnGpu, adapter: LoraAdapter | null, ids: Int32Array): Promise<Float32Array> {
  const T = ids.length;
  const losses = new Float32Array(T).fill(Number.NaN);
  if (T < 2) return losses;
  const { engine, config } = model;
  // Every token is a label here, whatever training makes of the row.
  const flat = flattenBatch({ shape: [1, T], inputIds: ids, labels: ids, positions: Int32Array.from(ids.keys()), segments: new Int32Array(T).fill(1) });
  const inUse = engine.memory.live;
  engine.device.pushErrorScope('out-of-memory');
  const arena = new Arena(engine);
  const inputs = new BatchInputs(engine, flat.tokens, flat.targets, windowsOf(config));
  const rope = createRope(engine, config, T);
  const step = new StepUniform(engine);
  const stats = createTensor(engine, 'stats', 4);
  const acts = takeActivations(config, arena, T, adapter, 'nothing');
  const head = takeHead(engine, config, arena, flat.targets, stats, false);
  const needed = engine.memory.live - inUse;
  const fits = engine.device.popErrorScope();
  let program: Program | null = null;
  try {
    const full = await fits;
    if (full) throw new EtudeError(outOfMemory({ purpose: `the loss of ${T.toLocaleString('en')} tokens`, needed, inUse, fits: null }), { cause: full });
    const ctx: DecoderContext = { ...model, rope, inputs };
    program = await buildProgram(engine, 'loss per token', step, [
      ...forwardOps(ctx, acts, adapter ? { adapter, dropout: 0, dropped: null } : null),
      ...lossOps(ctx, head, acts.last, null),
    ]);
    inputs.upload(flat);
    step.write(flat);
    await new Submitter(engine).run([program], flat);
    losses.set(await readTensor(engine, head.loss, flat.targets), 1);
    return losses;
  } finally {
    program?.destroy();
    arena.destroy();
    inputs.destroy();
    destroyRope(engine, rope);
    step.destroy();
    destroyTensor(engine, stats);
  }
}
