/**
 * f64 twin of the whole decoder of src/model: tokens and weights in, hidden states, logits and loss out. It has no backward pass: gradients
 * come from central differences. Dropout is a given factor for every element of every adapter's input.
 */
import type { TargetModule } from '../../src/config/recipe.ts';
import { ropeTables } from '../../src/engine/kernels/rope.ts';
import type { FlatBatch } from '../../src/model/batchInputs.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { loraKey, modulePath, projectionShape } from '../../src/model/lora.ts';
import { attention } from './attention.ts';
import { crossEntropy } from './crossEntropy.ts';
import { matmulNT } from './matmul.ts';
import { rmsNorm } from './rmsNorm.ts';
import { rope } from './rope.ts';
import { gatherRows } from './rows.ts';
import { swiglu } from './swiglu.ts';

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

type Tokens = Pick<FlatBatch, 'ids' | 'positions' | 'keyStart' | 'keyEnd'>;

/** Logits [M, V] and the L + 1 hidden states [M, C] as transformers returns them. */
export function decoderForward(twin: DecoderTwin, tokens: Tokens): { logits: Float64Array; hidden: Float64Array[] } {
  const { config: c, weight } = twin;
  const M = tokens.ids.length;
  const { cos, sin } = ropeTables({ ...c, maxPositions: tokens.positions.reduce((m, p) => Math.max(m, p), 0) + 1 });
  const sum = (a: Float64Array, b: Float64Array): Float64Array => a.map((v, i) => v + b[i]!);
  let x = gatherRows(weight('model.embed_tokens.weight'), c.hiddenSize, tokens.ids);
  const hidden = [x];
  for (let l = 0; l < c.numHiddenLayers; l++) {
    const at = (name: string): Float64Array => weight(`model.layers.${l}.${name}`);
    const project = (module: TargetModule, input: Float64Array): Float64Array => projection(twin, l, module, input, M);
    const normed = rmsNorm(x, at('input_layernorm.weight'), c.rmsNormEps);
    const perHead = (values: Float64Array, name: string): Float64Array => (c.qkNorm ? rmsNorm(values, at(`self_attn.${name}.weight`), c.rmsNormEps) : values);
    const q = perHead(project('q_proj', normed), 'q_norm');
    const k = perHead(project('k_proj', normed), 'k_norm');
    const { out } = attention({
      heads: c.numAttentionHeads, kvHeads: c.numKeyValueHeads, headDim: c.headDim, keyStart: tokens.keyStart, keyEnd: tokens.keyEnd,
      q: rope(q, c.numAttentionHeads, c.headDim, tokens.positions, cos, sin),
      k: rope(k, c.numKeyValueHeads, c.headDim, tokens.positions, cos, sin),
      v: project('v_proj', normed),
    });
    const mid = sum(x, project('o_proj', out));
    const midNormed = rmsNorm(mid, at('post_attention_layernorm.weight'), c.rmsNormEps);
    x = sum(mid, project('down_proj', swiglu(project('gate_proj', midNormed), project('up_proj', midNormed))));
    hidden.push(x);
  }
  const last = rmsNorm(x, weight('model.norm.weight'), c.rmsNormEps);
  hidden[c.numHiddenLayers] = last;
  const head = weight(c.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight');
  return { logits: matmulNT(last, head, M, c.vocabSize, c.hiddenSize), hidden };
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
