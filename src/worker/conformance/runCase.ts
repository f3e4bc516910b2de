/**
 * Runs one golden case (a folder as ../goldens README describes: what transformers + PEFT computed) against our engine.
 * Owns the comparison and its limits; refuses to know how cases are found and printed.
 */
import { EtudeError } from '../../config/errors.ts';
import type { LoraConfig } from '../../config/recipe.ts';
import { TARGET_MODULES } from '../../config/recipe.ts';
import type { Engine } from '../../engine/device.ts';
import { readTensor } from '../../engine/tensor.ts';
import type { ByteSource } from '../../formats/byteSource.ts';
import { sourceFromBytes } from '../../formats/byteSource.ts';
import { adaptedModules, canonicalNames, readPeftAdapter, writePeftAdapter, type AdapterState } from '../../formats/peftAdapter.ts';
import { openSafetensors, readF32, readI32, type SafetensorsFile } from '../../formats/safetensors.ts';
import { openModelWeights } from '../../hub/modelFolder.ts';
import { flattenBatch, type BatchLike } from '../../model/batchInputs.ts';
import type { ModelConfig } from '../../model/config.ts';
import { batchLogits, Generator, type ModelOnGpu } from '../../model/inference.ts';
import { LoraAdapter, modulePath, type LoraTarget, type LoraTensors } from '../../model/lora.ts';
import { parseModelConfig } from '../../model/parseConfig.ts';
import { destroyWeights, loadWeights } from '../../model/weights.ts';
import { behindPadding, crossEntropyOf, relativeL2 } from './compare.ts';
import { learningRateAt, type LrSchedule } from '../../train/lrSchedule.ts';
import { STATS, TrainingPlan } from '../../train/plan.ts';

/** The limits of the goldens' README. */
export const LIMITS = {
  logitsRel: 2e-5,
  logitsAbs: 2e-4,
  hiddenRel: 2e-5,
  loss: 2e-5,
  gradRel: 1e-4,
  gradNormRel: 2e-5,
  trainLoss: 1e-4,
  trainGradNormRel: 1e-4,
  lrRel: 1e-6,
  updateRel: 1e-2,
} as const;

export interface Figure {
  /** Worst over the case. */
  worst: number;
  limit: number;
  /** Where the worst stands. */
  at: string;
}

export interface CaseResult {
  name: string;
  status: 'PASS' | 'FAIL' | 'UNSUPPORTED';
  figures: Partial<Record<keyof typeof LIMITS, Figure>>;
  /** Exact comparisons: name -> how many agreed of how many. */
  exact: Record<string, { ok: number; of: number }>;
  /** What failed or is not supported, in words. */
  reasons: string[];
  /** Figures that are stated and not judged. */
  stated: Record<string, number>;
  seconds: number;
}

interface Golden {
  vocab_size: number;
  lora: { r: number; alpha: number; rslora?: boolean; scaling: number };
  lora_keys: string[];
  batches: Record<string, { shape: [number, number]; kind: string; num_targets: number }>;
  forward: Record<string, { loss_base: number | null; loss_lora: number | null }>;
  grad: Record<string, { batches: string[]; num_items: number; loss: number; grad_norm: number }>;
  train: {
    name: string; lr: number; betas: [number, number]; eps: number; weight_decay: number; schedule: LrSchedule; warmup_steps: number; steps: number; max_grad_norm: number;
    data: string[][]; log: { loss: number; grad_norm: number; lr: number; num_items: number }[];
  }[];
  adapter: { from_run: string; loss_main?: number };
  generation: { prompt: number[]; max_new_tokens: number; base: number[]; adapter: number[]; with_eos?: { eos_token_id: number; base?: number[]; adapter?: number[] } }[];
}

export async function runCase(engine: Engine, name: string, files: Map<string, ByteSource>, adapterFiles: Map<string, ByteSource>): Promise<CaseResult> {
  const started = performance.now();
  const result: CaseResult = { name, status: 'PASS', figures: {}, exact: {}, reasons: [], stated: {}, seconds: 0 };
  try {
    await new CaseRun(engine, result, files, adapterFiles).run();
    if (result.reasons.length > 0) result.status = 'FAIL';
  } catch (error) {
    const code = error instanceof EtudeError ? error.code : '';
    result.status = code.startsWith('model.unsupported') ? 'UNSUPPORTED' : 'FAIL';
    result.reasons.push(error instanceof EtudeError ? `${error.code}: ${error.message}` : error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  result.seconds = (performance.now() - started) / 1000;
  return result;
}

class CaseRun {
  readonly engine: Engine;
  readonly result: CaseResult;
  readonly files: Map<string, ByteSource>;
  readonly adapterFiles: Map<string, ByteSource>;
  golden!: Golden;
  arrays!: SafetensorsFile;
  config!: ModelConfig;
  model!: ModelOnGpu;
  lora!: LoraConfig;
  targets!: LoraTarget[];
  batches = new Map<string, BatchLike>();

  constructor(engine: Engine, result: CaseResult, files: Map<string, ByteSource>, adapterFiles: Map<string, ByteSource>) {
    this.engine = engine;
    this.result = result;
    this.files = files;
    this.adapterFiles = adapterFiles;
  }

  async run(): Promise<void> {
    this.golden = (await json(this.files, 'golden.json')) as Golden;
    this.arrays = await openSafetensors(this.file('golden.safetensors'));
    const folder = await openModelWeights(this.result.name, this.files);
    this.config = parseModelConfig(folder.config, folder.generationConfig ?? undefined);
    const { r, alpha, rslora } = this.golden.lora;
    this.targets = adaptedModules(this.golden.lora_keys);
    this.lora = { r, loraAlpha: alpha, useRslora: rslora === true, loraDropout: 0, targetModules: [...new Set(this.targets.map((t) => t.module))] };
    for (const b of Object.keys(this.golden.batches)) this.batches.set(b, await this.batch(b));
    const weights = await loadWeights(this.engine, this.config, folder.tensors);
    this.model = { engine: this.engine, config: this.config, weights };
    try {
      await this.forward();
      await this.gradients();
      for (const run of this.golden.train) await this.train(run);
      await this.adapterAndGeneration();
    } finally {
      destroyWeights(this.engine, weights);
    }
  }

  /** Logits, hidden states and losses with and without the adapter. */
  async forward(): Promise<void> {
    const adapter = this.adapter(await this.tensors('init.grad.'));
    const plan = await this.plan(adapter, {});
    try {
      for (const [b, expected] of Object.entries(this.golden.forward)) {
        const batch = this.batches.get(b)!;
        for (const which of ['base', 'lora'] as const) {
          const key = `fwd.${b}.logits_${which}`;
          if (!this.arrays.tensors.has(key)) continue;
          const wantHidden = which === 'lora' && this.arrays.tensors.has(`fwd.${b}.hidden.0`);
          const ours = await batchLogits(this.model, which === 'lora' ? adapter : null, batch, { hidden: wantHidden });
          this.compareRows('logitsRel', key, ours.logits, await this.array(key), batch, this.golden.vocab_size, 'logitsAbs');
          for (const [i, hidden] of ours.hidden.entries()) {
            const hiddenKey = `fwd.${b}.hidden.${i}`;
            this.compareRows('hiddenRel', hiddenKey, hidden, await this.array(hiddenKey), batch, this.config.hiddenSize);
          }
        }
        await this.forwardLoss(plan, b, 'lora', expected.loss_lora);
        const counted = flattenBatch(batch).targets + behindPadding(batch).length;
        this.exact('targets counted', counted === this.golden.batches[b]!.num_targets, `batch ${b} has ${counted} targets, expected ${this.golden.batches[b]!.num_targets}`);
      }
      // Without its adapter the same plan gives the base loss: zero parameters add nothing.
      adapter.restore({ params: new Float32Array(adapter.elements) });
      for (const [b, expected] of Object.entries(this.golden.forward)) {
        await this.forwardLoss(plan, b, 'base', expected.loss_base);
      }
    } finally {
      plan.destroy();
      adapter.destroy();
    }
  }

  /**
   * A left-padded row whose first real token carries a label is predicted by transformers from a padding position, whose
   * logits mean nothing (they differ between its attention back ends). Such targets are taken out on both sides, and said.
   */
  async forwardLoss(plan: TrainingPlan, b: string, which: 'base' | 'lora', expected: number | null): Promise<void> {
    if (expected === null) return;
    const batch = this.batches.get(b)!;
    const left = behindPadding(batch);
    let wanted = expected;
    if (left.length > 0) {
      const V = this.golden.vocab_size;
      const logits = await this.array(`fwd.${b}.logits_${which}`);
      const n = this.golden.batches[b]!.num_targets;
      const theirs = left.reduce((sum, at) => sum + crossEntropyOf(logits.subarray(at * V, (at + 1) * V), batch.labels[at + 1]!), 0);
      wanted = (expected * n - theirs) / (n - left.length);
      this.result.stated[`targets of batch ${b} that only a padding position predicts, left out on both sides`] = left.length;
    }
    this.figure('loss', `forward ${b} ${which}`, Math.abs((await this.loss(plan, batch)) - wanted));
  }

  async gradients(): Promise<void> {
    for (const [g, expected] of Object.entries(this.golden.grad)) {
      const adapter = this.adapter(await this.tensors('init.grad.'));
      const plan = await this.plan(adapter, {});
      try {
        plan.resetStats();
        const items = await this.accumulate(plan, expected.batches, 0);
        this.exact('targets counted', items === expected.num_items, `gradient case ${g} has ${items} targets, expected ${expected.num_items}`);
        const norm = await plan.gradientNorm();
        const stats = await readTensor(this.engine, plan.stats);
        this.figure('loss', `gradient ${g}`, Math.abs(stats[STATS.loss]! - expected.loss));
        this.figure('gradNormRel', `gradient ${g}`, Math.abs(norm - expected.grad_norm) / expected.grad_norm);
        const ours = await adapter.read('grads');
        for (const [key, { data }] of ours) this.figure('gradRel', `${g} ${key}`, relativeL2(data, await this.array(`grad.${g}.${key}`)));
      } finally {
        plan.destroy();
        adapter.destroy();
      }
    }
  }

  async train(run: Golden['train'][number]): Promise<void> {
    const init = await this.tensors('init.train.');
    const adapter = this.adapter(init);
    const plan = await this.plan(adapter, { adamBeta1: run.betas[0], adamBeta2: run.betas[1], adamEpsilon: run.eps, weightDecay: run.weight_decay, maxGradNorm: run.max_grad_norm });
    try {
      for (let s = 0; s < run.steps; s++) {
        const expected = run.log[s]!;
        const lr = learningRateAt(run.schedule, run.lr, s, run.warmup_steps, run.steps);
        this.figure('lrRel', `${run.name} step ${s}`, expected.lr === 0 ? Math.abs(lr) : Math.abs(lr - expected.lr) / expected.lr);
        plan.resetStats();
        await this.accumulate(plan, run.data[s]!, s);
        await plan.optimizerStep(lr, s + 1);
        const stats = await readTensor(this.engine, plan.stats);
        this.figure('trainLoss', `${run.name} step ${s}`, Math.abs(stats[STATS.loss]! - expected.loss));
        this.figure('trainGradNormRel', `${run.name} step ${s}`, Math.abs(stats[STATS.gradNorm]! - expected.grad_norm) / expected.grad_norm);
      }
      const final = await adapter.read();
      for (const [key, { data }] of final) {
        const start = init.get(key)!.data;
        const expected = await this.array(`train.${run.name}.final.${key}`);
        this.figure('updateRel', `${run.name} ${key}`, relativeL2(data.map((v, i) => v - start[i]!), expected.map((v, i) => v - start[i]!)));
      }
      if (run.name === this.golden.adapter.from_run && this.arrays.tensors.has('fwd.main.logits_adapter')) {
        // Our own trajectory, exported and read back, beside PEFT's: its distance is the trajectory's noise, so it is stated only.
        const back = await roundTrip(this.state(final));
        adapter.load(back.tensors);
        const { logits } = await batchLogits(this.model, adapter, this.batches.get('main')!);
        this.result.stated['own run, exported and read back, logits relative L2'] = relativeL2(...this.realRows(logits, await this.array('fwd.main.logits_adapter'), this.batches.get('main')!, this.golden.vocab_size));
      }
    } finally {
      plan.destroy();
      adapter.destroy();
    }
  }

  /** PEFT's saved adapter: import, logits, export, import again, generation. */
  async adapterAndGeneration(): Promise<void> {
    const configJson = (await json(this.adapterFiles, 'adapter_config.json')) as Record<string, unknown>;
    const weights = this.adapterFiles.get('adapter_model.safetensors');
    if (!weights) throw new EtudeError({ code: 'golden.adapter', what: `${this.result.name} has no adapter/adapter_model.safetensors.` });
    const imported = await readPeftAdapter(configJson, await openSafetensors(weights));
    const main = this.batches.get('main')!;
    const expected = await this.array('fwd.main.logits_adapter');
    const check = async (state: AdapterState, label: string): Promise<LoraAdapter> => {
      const adapter = this.adapter(state.tensors);
      const { logits } = await batchLogits(this.model, adapter, main);
      this.compareRows('logitsRel', label, logits, expected, main, this.golden.vocab_size, 'logitsAbs');
      return adapter;
    };
    const adapter = await check(imported, 'adapter import');
    const files = writePeftAdapter(imported);
    const exported = await readPeftAdapter(JSON.parse(files.configJson), await openSafetensors(sourceFromBytes(files.safetensors, 'adapter_model.safetensors')));
    (await check(exported, 'adapter export')).destroy();
    this.exact('adapter keys', sameSet([...exported.tensors.keys()], this.golden.lora_keys), 'exported keys differ from PEFT\'s');
    const ours = JSON.parse(files.configJson) as Record<string, unknown>;
    for (const field of ['peft_type', 'task_type', 'r', 'lora_alpha', 'lora_dropout', 'bias', 'fan_in_fan_out', 'init_lora_weights', 'use_rslora', 'use_dora', 'modules_to_save', 'inference_mode', 'base_model_name_or_path']) {
      this.exact('config fields', JSON.stringify(ours[field]) === JSON.stringify(configJson[field]), `adapter_config.json ${field} is ${JSON.stringify(ours[field])}, PEFT wrote ${JSON.stringify(configJson[field])}`);
    }
    const expand = (modules: unknown): string[] => this.expandTargets(modules as string[]);
    this.exact('config fields', sameSet(expand(ours['target_modules']), expand(configJson['target_modules'])), 'target_modules differ after expansion');
    await this.generation(adapter);
    adapter.destroy();
  }

  async generation(adapter: LoraAdapter): Promise<void> {
    const context = Math.max(...this.golden.generation.map((g) => g.prompt.length + g.max_new_tokens)) + 1;
    const generators = { base: await Generator.create(this.model, null, context), adapter: await Generator.create(this.model, adapter, context) };
    try {
      for (const [i, g] of this.golden.generation.entries()) {
        const check = async (which: 'base' | 'adapter', stopIds: number[], expected: number[], label: string): Promise<void> => {
          const ids: number[] = [];
          for await (const id of generators[which].generate(g.prompt, { maxNewTokens: g.max_new_tokens, stopIds })) ids.push(id);
          this.exact('generated ids', ids.join() === expected.join(), `generation ${i} ${label}: ${ids.join(' ')}, expected ${expected.join(' ')}`);
        };
        await check('base', [], g.base, 'base');
        await check('adapter', [], g.adapter, 'adapter');
        for (const which of ['base', 'adapter'] as const) {
          const ids = g.with_eos?.[which];
          if (g.with_eos && ids) await check(which, [g.with_eos.eos_token_id], ids, `${which} with eos`);
        }
      }
    } finally {
      generators.base.destroy();
      generators.adapter.destroy();
    }
  }

  /** Runs micro-batches with the window's label count as divisor; returns that count. */
  async accumulate(plan: TrainingPlan, names: readonly string[], seed: number): Promise<number> {
    const flats = names.map((b) => flattenBatch(this.batches.get(b)!));
    const items = flats.reduce((n, f) => n + f.targets, 0);
    for (const flat of flats) if (flat.targets > 0) await plan.microBatch(flat, 1 / items, seed);
    return items;
  }

  async loss(plan: TrainingPlan, batch: BatchLike): Promise<number> {
    const flat = flattenBatch(batch);
    plan.resetStats();
    await plan.evaluateBatch(flat, 1 / flat.targets);
    return (await readTensor(this.engine, plan.stats))[STATS.loss]!;
  }

  adapter(tensors: LoraTensors): LoraAdapter {
    const adapter = new LoraAdapter(this.engine, this.config, this.lora, this.targets);
    adapter.load(tensors);
    return adapter;
  }

  plan(adapter: LoraAdapter, training: Partial<Parameters<typeof TrainingPlan.create>[0]['training']>): Promise<TrainingPlan> {
    const flats = [...this.batches.values()].map((b) => flattenBatch(b));
    const most = (f: (x: (typeof flats)[number]) => number): number => Math.max(1, ...flats.map(f));
    return TrainingPlan.create({
      ...this.model, adapter,
      maxTokens: most((f) => f.tokens),
      maxTargets: most((f) => f.targets),
      maxPositions: most((f) => f.positions.reduce((m, p) => Math.max(m, p), 0) + 1),
      loraDropout: 0,
      training: { adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8, weightDecay: 0, maxGradNorm: 1, ...training },
    });
  }

  state(tensors: LoraTensors): AdapterState {
    const targetModules = canonicalNames(this.targets.map((t) => modulePath(t.layer, t.module)), this.expandTargets(TARGET_MODULES));
    return { r: this.lora.r, loraAlpha: this.lora.loraAlpha, useRslora: this.lora.useRslora, loraDropout: 0, targetModules, rankPattern: {}, alphaPattern: {}, baseModelNameOrPath: this.result.name, revision: null, tensors };
  }

  expandTargets(modules: readonly string[]): string[] {
    const all = Array.from({ length: this.config.numHiddenLayers }, (_, l) => TARGET_MODULES.map((m) => modulePath(l, m))).flat();
    return all.filter((path) => modules.some((m) => path === m || path.endsWith(`.${m}`)));
  }

  async batch(b: string): Promise<BatchLike> {
    const shape = this.golden.batches[b]!.shape;
    const ints = async (key: string): Promise<Int32Array | null> => {
      const entry = this.arrays.tensors.get(`batch.${b}.${key}`);
      return entry ? readI32(entry) : null;
    };
    const n = shape[0] * shape[1];
    const mask = (await ints('attention_mask')) ?? new Int32Array(n).fill(1);
    return {
      shape,
      inputIds: (await ints('input_ids'))!,
      labels: (await ints('labels'))!,
      positions: (await ints('position_ids')) ?? Int32Array.from({ length: n }, (_, i) => i % shape[1]),
      segments: (await ints('segment_ids')) ?? mask,
    };
  }

  async tensors(prefix: string): Promise<LoraTensors> {
    const out: LoraTensors = new Map();
    for (const key of this.golden.lora_keys) {
      const entry = this.arrays.tensors.get(prefix + key)!;
      out.set(key, { shape: entry.shape as [number, number], data: await readF32(entry) });
    }
    return out;
  }

  async array(key: string): Promise<Float32Array> {
    const entry = this.arrays.tensors.get(key);
    if (!entry) throw new EtudeError({ code: 'golden.array', what: `${this.result.name}: golden.safetensors has no ${key}.` });
    return readF32(entry);
  }

  file(name: string): ByteSource {
    const source = this.files.get(name);
    if (!source) throw new EtudeError({ code: 'golden.file', what: `${this.result.name} has no ${name}.` });
    return source;
  }

  realRows(ours: Float32Array, theirs: Float32Array, batch: BatchLike, cols: number): [Float32Array, Float32Array] {
    const rows = [...batch.segments.keys()].filter((i) => batch.segments[i] !== 0);
    const pick = (a: Float32Array): Float32Array => {
      const out = new Float32Array(rows.length * cols);
      rows.forEach((row, i) => out.set(a.subarray(row * cols, (row + 1) * cols), i * cols));
      return out;
    };
    return [pick(ours), pick(theirs)];
  }

  compareRows(kind: 'logitsRel' | 'hiddenRel', at: string, ours: Float32Array, theirs: Float32Array, batch: BatchLike, cols: number, absolute?: 'logitsAbs'): void {
    const [a, b] = this.realRows(ours, theirs, batch, cols);
    this.figure(kind, at, relativeL2(a, b));
    if (absolute) this.figure(absolute, at, a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i]!)), 0));
  }

  /** Keeps the worst of its kind. Anything that is not a number is a failure too. */
  figure(kind: keyof typeof LIMITS, at: string, value: number): void {
    const limit = LIMITS[kind];
    const before = this.result.figures[kind];
    if (!before || !(value <= before.worst)) this.result.figures[kind] = { worst: value, limit, at };
    if (!(value <= limit)) this.result.reasons.push(`${kind} ${value.toExponential(2)} > ${limit} at ${at}`);
  }

  exact(name: string, ok: boolean, reason: string): void {
    const tally = (this.result.exact[name] ??= { ok: 0, of: 0 });
    tally.of++;
    if (ok) tally.ok++;
    else this.result.reasons.push(reason);
  }
}

async function roundTrip(state: AdapterState): Promise<AdapterState> {
  const files = writePeftAdapter(state);
  return readPeftAdapter(JSON.parse(files.configJson), await openSafetensors(sourceFromBytes(files.safetensors, 'adapter_model.safetensors')));
}

async function json(files: Map<string, ByteSource>, name: string): Promise<unknown> {
  const source = files.get(name);
  if (!source) throw new EtudeError({ code: 'golden.file', what: `${name} is missing.` });
  return JSON.parse(new TextDecoder().decode(await source.read(0, source.size)));
}

const sameSet = (a: readonly string[], b: readonly string[]): boolean => [...a].sort().join('\n') === [...b].sort().join('\n');

