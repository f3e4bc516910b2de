/**
 * Owns what is said of a run before it starts, and the questions it is asked on the way.
 */
import { countLoraParameters } from '../../config/forecast.ts';
import type { Recipe } from '../../config/recipe.ts';
import { openBuiltinData, type BuiltinLoader } from '../../hub/builtin.ts';
import type { Forecast, HeldOutPrompt, RunDetail } from '../protocol.ts';
import type { Datasets } from './datasets.ts';
import type { RunFeed } from './feed.ts';
import type { LoadedModel } from './loadedModel.ts';
import { outlook, type DeviceMemory } from './memoryPlanning.ts';
import type { SamplePrompt } from './runControl.ts';
import type { Runs } from './runs.ts';

/** Small products of a step run at about half the speed of the large one that was measured. */
const SHARE_OF_MEASURED = 0.5;

/** @param speed GFLOP/s of a large product and tokens/s of an earlier run of this kind, where measured */
export function forecastRun(model: LoadedModel, feed: RunFeed, recipe: Recipe, memory: DeviceMemory, speed: { gflops: number | null; tokensPerSecond: number | null }): Forecast {
  const { totalSteps, warmupSteps } = feed.feed;
  const passes = totalSteps / feed.stepsPerEpoch;
  const tokensSeen = Math.round(feed.perEpoch.tokens * passes);
  const trainableParameters = countLoraParameters(model.config, recipe.lora);
  const { parameters } = model.summary;
  // 2 FLOP a weight and token forward, 2 backward: nothing flows into frozen weights.
  const guessed = speed.gflops === null ? null : (speed.gflops * 1e9 * SHARE_OF_MEASURED) / (4 * (parameters + trainableParameters));
  const tokensPerSecond = speed.tokensPerSecond ?? guessed;
  return {
    trainingRows: feed.split.train.length,
    heldOutRows: feed.split.heldOut.length,
    droppedRows: feed.dropped,
    tokensSeen,
    labelledTokensSeen: Math.round(feed.perEpoch.targets * passes),
    steps: totalSteps,
    stepsPerEpoch: feed.stepsPerEpoch,
    warmupSteps,
    trainableParameters,
    modelParameters: parameters,
    adapterBytes: trainableParameters * 4,
    memory: outlook(model, feed, recipe, memory),
    seconds: tokensPerSecond === null ? null : tokensSeen / tokensPerSecond,
    measured: speed.tokensPerSecond !== null,
    mix: feed.mix,
  };
}

/** Questions of the built-in held-out file, spread over it, since its rows are sorted by kind. */
export async function builtinQuestions(load: BuiltinLoader, limit: number): Promise<HeldOutPrompt[]> {
  const source = await openBuiltinData(load, 'heldout');
  const lines = new TextDecoder().decode(await source.read(0, source.size)).split('\n').filter((line) => line !== '');
  const step = Math.max(1, Math.floor(lines.length / limit));
  return lines.filter((_, i) => i % step === 0).slice(0, limit).map((line) => {
    const row = JSON.parse(line) as { instruction: string; input: string; output: string };
    return { index: null, prompt: row.input ? `${row.instruction}\n${row.input}` : row.instruction, reference: row.output };
  });
}

/** Questions asked while a run goes on: three on a GPU, one where every token is slow. */
const SAMPLE_PROMPTS = { gpu: 3, software: 1 };
/** Rows looked at for questions that fit the context. */
const CANDIDATES = 32;

export async function samplePrompts(of: { model: LoadedModel; datasets: Datasets; detail: RunDetail; feed: RunFeed; loadBuiltin: BuiltinLoader }): Promise<SamplePrompt[]> {
  const { model, datasets, detail, feed } = of;
  const wanted = model.gpu.engine.info.software ? SAMPLE_PROMPTS.software : SAMPLE_PROMPTS.gpu;
  const { heldOut, train } = feed.split;
  const dataset = await datasets.get(detail.dataset.id);
  if (dataset.source === 'builtin' && heldOut.length === 0) {
    return (await builtinQuestions(of.loadBuiltin, wanted)).map(({ prompt }) => ({ prompt, messages: [{ role: 'user', content: prompt }] }));
  }
  const { template } = detail.recipe.data;
  const prompts = await datasets.prompts(model, detail.dataset.id, (heldOut.length > 0 ? heldOut : train).slice(0, CANDIDATES), template);
  const encoder = model.encoder(template, null);
  return prompts.filter(({ messages }) => encoder.prompt(messages).ids.length < model.contextLength).slice(0, wanted);
}

/** Questions a run never trained on: the built-in dataset has a file of them, others those held out by the last run on them. */
export async function heldOutPrompts(of: { model: LoadedModel | null; datasets: Datasets; runs: Runs; loadBuiltin: BuiltinLoader }, datasetId: string, limit: number): Promise<HeldOutPrompt[]> {
  const { model, datasets, runs } = of;
  const dataset = await datasets.get(datasetId);
  if (dataset.source === 'builtin') return builtinQuestions(of.loadBuiltin, limit);
  if (!model) return [];
  const last = (await runs.list()).find((run) => run.dataset.id === datasetId);
  const heldOut = last ? (await runs.store.getCheckpoint(last.id))?.heldOut : undefined;
  if (!heldOut) return [];
  return datasets.prompts(model, datasetId, heldOut.slice(0, limit), last!.recipe.data.template);
}
