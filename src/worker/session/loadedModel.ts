/**
 * Owns the one resident base model: its weights on the GPU, its tokenizer, and the generators that share them.
 */
import type { Engine } from '../../engine/device.ts';
import { knownTemplates, RowEncoder } from '../../data/template.ts';
import { loadTokenizer, type Tokenizer } from '../../data/tokenizer.ts';
import type { TemplateId } from '../../data/types.ts';
import type { LoraModules } from '../../formats/peftAdapter.ts';
import type { ModelFolder } from '../../hub/modelFolder.ts';
import type { ModelConfig } from '../../model/config.ts';
import { Generator, type ModelOnGpu } from '../../model/inference.ts';
import { modulePath, projectionShape, type LoraAdapter } from '../../model/lora.ts';
import { parseModelConfig } from '../../model/parseConfig.ts';
import { tokenLosses } from '../../model/tokenLoss.ts';
import { destroyWeights, loadWeights, type LoadOptions } from '../../model/weights.ts';
import { TARGET_MODULES } from '../../config/recipe.ts';
import type { ModelSummary } from '../protocol.ts';

/** Longest conversation that Try and the sample answers hold, tokens. */
const MAX_CONTEXT = 1024;

export class LoadedModel {
  readonly summary: ModelSummary;
  readonly tokenizer: Tokenizer;
  readonly gpu: ModelOnGpu;
  /** Settles when the losses asked for are there. */
  #asked: Promise<unknown> = Promise.resolve();
  readonly #generators = new Map<LoraAdapter | null, Promise<Generator>>();

  private constructor(summary: ModelSummary, tokenizer: Tokenizer, gpu: ModelOnGpu) {
    this.summary = summary;
    this.tokenizer = tokenizer;
    this.gpu = gpu;
  }

  static async load(engine: Engine, origin: Pick<ModelSummary, 'source' | 'revision'>, folder: ModelFolder, options: LoadOptions): Promise<LoadedModel> {
    const config = parseModelConfig(folder.config, folder.generationConfig ?? undefined);
    const tokenizer = loadTokenizer(folder.tokenizerJson, folder.tokenizerConfig, folder.chatTemplate);
    const weights = await loadWeights(engine, config, folder.tensors, options);
    const summary: ModelSummary = {
      ...origin,
      name: origin.source === 'builtin' ? 'builtin' : folder.name,
      architecture: config.architecture,
      parameters: weights.parameters,
      weightBytes: weights.bytes,
      dtype: weights.dtype,
      quantization: weights.quantization,
      tiedEmbeddings: config.tieWordEmbeddings,
      hiddenSize: config.hiddenSize,
      numHiddenLayers: config.numHiddenLayers,
      vocabSize: config.vocabSize,
      maxPositionEmbeddings: config.maxPositionEmbeddings,
      hasChatTemplate: tokenizer.hasChatTemplate,
      knownTemplates: knownTemplates(tokenizer),
    };
    return new LoadedModel(summary, tokenizer, { engine, config, weights });
  }

  get config(): ModelConfig {
    return this.gpu.config;
  }

  /** Tokens that a question and its answer have together. */
  get contextLength(): number {
    return Math.min(MAX_CONTEXT, this.config.maxPositionEmbeddings);
  }

  /** Paths and shapes of the projections that can carry LoRA. */
  get loraModules(): LoraModules {
    const { config } = this;
    return new Map(
      Array.from({ length: config.numHiddenLayers }, (_, l) => TARGET_MODULES.map((m) => [modulePath(l, m), projectionShape(config, m)] as const)).flat(),
    );
  }

  encoder(template: TemplateId, maxLength: number | null): RowEncoder {
    return new RowEncoder(this.tokenizer, template, maxLength, this.config.vocabSize);
  }

  /** The generator of the base (null) or of an adapter; made on first use, shared afterwards. */
  generator(adapter: LoraAdapter | null): Promise<Generator> {
    let generator = this.#generators.get(adapter);
    if (!generator) {
      generator = Generator.create(this.gpu, adapter, this.contextLength);
      this.#generators.set(adapter, generator);
      generator.catch(() => this.#generators.delete(adapter));
    }
    return generator;
  }

  /** Loss of each token of a row, nats; NaN for the first. One row at a time: each takes its own buffers. */
  tokenLosses(adapter: LoraAdapter | null, ids: Int32Array): Promise<Float32Array> {
    const losses = this.#asked.then(() => tokenLosses(this.gpu, adapter, ids));
    this.#asked = losses.catch(() => undefined);
    return losses;
  }

  /** Frees an adapter and its generator, once the answer under way has ended. */
  async release(adapter: LoraAdapter): Promise<void> {
    await this.#asked;
    const generator = this.#generators.get(adapter);
    this.#generators.delete(adapter);
    await (await generator?.catch(() => null))?.close();
    adapter.destroy();
  }

  async destroy(): Promise<void> {
    await this.#asked;
    for (const generator of this.#generators.values()) await (await generator.catch(() => null))?.close();
    this.#generators.clear();
    destroyWeights(this.gpu.engine, this.gpu.weights);
  }
}
