/**
 * f64 twin of the whole decoder of src/model: tokens and weights in, hidden states, logits and loss out. It has no backward pass: gradients
 * come from central differences. Dropout is a given factor for every element of every adapter's input.
 */
import type { TargetModule } from '../../src/config/recipe.ts';
import { ropeTables } from '../../src/engine/kernels/rope.ts';
import { narrow, type FlatBatch } from '../../src/model/batchInputs.ts';
import { layerAt, type ModelConfig } from '../../src/model/config.ts';
import { streamNorms } from '../../src/model/expectedTensors.ts';
import { loraKey, modulePath, projectionShape } from '../../src/model/lora.ts';
import { attention } from './attention.ts';
import { crossEntropy, softcap } from './crossEntropy.ts';
import { gated } from './gated.ts';
import { matmulNT } from './matmul.ts';
import { rmsNorm } from './rmsNorm.ts';
import { rope } from './rope.ts';
import { gatherRows } from './rows.ts';

export interface DecoderTwin {
  config: ModelConfig;
  /** By HF name. */
  weight: (name: string) => Float64Array;
  lora: {
    r: number;
    scaling: number;
    /** By PEFT's key; absent where a projection is not adapted. */
    tensor: (key: string) => Float64Array | undefined;
    /** 0 or 1 / (1 - p) for each of the M x in elements that the adapter of a projection sees; null without dropout. */
    factor: ((layer: number, module: TargetModule) => ArrayLike<number>) | null;
  } | null;
}

type Tokens = Pick<FlatBatch, 'ids' | 'positions' | 'keyStart' | 'keyEnd' | 'queryEnd'>;

/** Logits [M, V] and the L + 1 hidden states [M, C] as transformers returns them. */
export function decoderForward(twin: DecoderTwin, tokens: Tokens): { logits: Float64Array; hidden: Float64Array[] } {
  const { config: c, weight } = twin;
  const M = tokens.ids.length;
  const maxPositions = tokens.positions.reduce((m, p) => Math.max(m, p), 0) + 1;
  const tables = { global: ropeTables({ ...c, maxPositions }), local: c.localRope && ropeTables({ ...c.localRope, headDim: c.headDim, maxPositions }) };
  const norm = (values: Float64Array, name: string): Float64Array => rmsNorm(values, weight(`${name}.weight`).map((w) => Math.fround(c.normOffset + w)), c.rmsNormEps);
  const norms = streamNorms(c);
  const sum = (a: Float64Array, b: Float64Array): Float64Array => a.map((v, i) => v + b[i]!);
  let x: Float64Array = gatherRows(weight('model.embed_tokens.weight'), c.hiddenSize, tokens.ids).map((v) => v * c.embeddingScale);
  const hidden: Float64Array[] = [x];
  for (let l = 0; l < c.numHiddenLayers; l++) {
    const at = `model.layers.${l}`;
    const { window, rope: which } = layerAt(c, l);
    const turn = (values: Float64Array, heads: number): Float64Array => {
      const table = which && tables[which];
      return table ? rope(values, heads, c.headDim, tokens.positions, table.cos, table.sin) : values;
    };
    const project = (module: TargetModule, input: Float64Array): Float64Array => projection(twin, l, module, input, M);
    const normed = norm(x, `${at}.${norms.input}`);
    const perHead = (values: Float64Array, name: string): Float64Array => (c.qkNorm ? norm(values, `${at}.self_attn.${name}`) : values);
    const q = perHead(project('q_proj', normed), 'q_norm');
    const k = perHead(project('k_proj', normed), 'k_norm');
    const { out } = attention({
      heads: c.numAttentionHeads, kvHeads: c.numKeyValueHeads, headDim: c.headDim, scale: c.attentionScale, softcap: c.attentionSoftcap,
      keyStart: window === null ? tokens.keyStart : narrow(tokens, window).keyStart, keyEnd: tokens.keyEnd,
      q: turn(q, c.numAttentionHeads),
      k: turn(k, c.numKeyValueHeads),
      v: project('v_proj', normed),
    });
    const outer = (branch: Float64Array, name: string | null): Float64Array => (name ? norm(branch, `${at}.${name}`) : branch);
    const mid = sum(x, outer(project('o_proj', out), norms.attentionOut));
    const midNormed = norm(mid, `${at}.${norms.mlp}`);
    x = sum(mid, outer(project('down_proj', gated(c.activation, project('gate_proj', midNormed), project('up_proj', midNormed))), norms.mlpOut));
    hidden.push(x);
  }
  const last = norm(x, 'model.norm');
  hidden[c.numHiddenLayers] = last;
  const head = weight(c.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight');
  const logits = matmulNT(last, head, M, c.vocabSize, c.hiddenSize);
  return { logits: c.finalSoftcap === null ? logits : softcap(logits, c.finalSoftcap), hidden };
}

function projection({ config: c, weight, lora }: DecoderTwin, layer: number, module: TargetModule, x: Float64Array, M: number): Float64Array {
  const [out, inFeatures] = projectionShape(c, module);
  const path = modulePath(layer, module);
  const biased = module === 'o_proj' ? c.oBias : /^[qkv]_/.test(module) ? c.qkvBias : c.mlpBias;
  const y = matmulNT(x, weight(`${path}.weight`), M, out, inFeatures, biased ? { bias: weight(`${path}.bias`) } : {});
  const a = lora?.tensor(loraKey(layer, module, 'A'));
  const b = lora?.tensor(loraKey(layer, module, 'B'));
  if (!lora || !a || !b) return y;
  const factor = lora.factor?.(layer, module);
  const xa = matmulNT(factor ? x.map((v, i) => v * factor[i]!) : x, a, M, lora.r, inFeatures);
  return matmulNT(xa, b, M, out, lora.r, { alpha: lora.scaling, add: y });
}

/** Mean cross-entropy over the labelled positions. */
export function decoderLoss(twin: DecoderTwin, flat: FlatBatch): number {
  const { logits } = decoderForward(twin, flat);
  const picked = gatherRows(logits, twin.config.vocabSize, flat.targetRows);
  return crossEntropy(picked, twin.config.vocabSize, flat.targetLabels, 1).loss.reduce((a, b) => a + b, 0) / flat.targets;
}
