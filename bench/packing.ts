/**
 * What packing saves on a real file:
 *   node scripts/run-ts.mjs bench/packing.ts FILE.json [--tokenizer FOLDER] [--template chatml] [--length 512] [--device lavapipe] [--shape tiny] [--batches 4]
 * Counts the token slots of batches of 4 rows that carry a real token, and times steps in which every slot is computed, as a trainer
 * that pads does, beside ours, which leaves padding out.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { openNodeGpu, type NodeGpuKind } from '../src/cli/nodeGpu.ts';
import { loraConfigSchema, TARGET_MODULES, trainingConfigSchema } from '../src/config/recipe.ts';
import { collatePacked, packFirstFit } from '../src/data/collator.ts';
import { detect } from '../src/data/detect.ts';
import { toMessages } from '../src/data/messages.ts';
import { permutation } from '../src/data/random.ts';
import { RowEncoder } from '../src/data/template.ts';
import { loadTokenizer } from '../src/data/tokenizer.ts';
import type { Batch, EncodedRow, TemplateId } from '../src/data/types.ts';
import { openEngine } from '../src/engine/device.ts';
import { flattenBatch } from '../src/model/batchInputs.ts';
import { allTargets, LoraAdapter } from '../src/model/lora.ts';
import { loadWeights } from '../src/model/weights.ts';
import { TrainingPlan } from '../src/train/plan.ts';
import { parseShape } from '../src/worker/bench/shapes.ts';
import { syntheticTensors } from '../src/worker/bench/syntheticModel.ts';

const BATCH = 4;

async function encodeRows(file: string, tokenizerFolder: string, template: TemplateId, maxLength: number): Promise<EncodedRow[]> {
  const json = async (name: string) => JSON.parse(await readFile(`${tokenizerFolder}/${name}`, 'utf8')) as Record<string, unknown>;
  const encoder = new RowEncoder(loadTokenizer(await json('tokenizer.json'), await json('tokenizer_config.json'), null), template, maxLength);
  const values = JSON.parse(await readFile(file, 'utf8')) as unknown[];
  const detection = detect(values);
  if (!detection) throw new Error(`${file} has no known shape`);
  return values.flatMap((value, index) => {
    const read = toMessages(value, detection.mapping, template);
    if (!read.ok) return [];
    const encoded = encoder.encode(read.messages, index);
    return encoded.ok && encoded.row.numTargets > 0 ? [encoded.row] : [];
  });
}

/** A batch of T tokens a row, all of them real: what is computed where padding is. */
function filled(T: number, rows: number, vocabSize: number): Batch {
  const inputIds = Int32Array.from({ length: rows * T }, (_, i) => (i * 7919 + 13) % vocabSize);
  return {
    shape: [rows, T], inputIds, labels: Int32Array.from(inputIds, (id, i) => (i % 2 === 0 ? -100 : id)),
    positions: Int32Array.from(inputIds, (_, i) => i % T), segments: new Int32Array(rows * T).fill(1),
  };
}

const chunks = <T>(list: readonly T[], size: number): T[][] => Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

export async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv, allowPositionals: true,
    options: {
      tokenizer: { type: 'string', default: 'public/builtin/model' }, template: { type: 'string', default: 'chatml' }, length: { type: 'string', default: '512' },
      device: { type: 'string', default: 'auto' }, shape: { type: 'string', default: 'tiny' }, batches: { type: 'string', default: '4' },
    },
  });
  const [file] = positionals;
  if (file === undefined) throw new Error('which file?');
  const maxLength = Number(values.length);
  const rows = await encodeRows(file, values.tokenizer, values.template as TemplateId, maxLength);
  const order = Array.from(permutation(rows.length, 42, 0), (i) => rows[i]!);
  const lengths = order.map((row) => row.inputIds.length);
  const real = sum(lengths);
  const packs = packFirstFit(order.map((_, i) => i), lengths, maxLength);
  const slots = {
    [`padded to ${maxLength}`]: rows.length * maxLength,
    'padded to the longest': sum(chunks(lengths, BATCH).map((batch) => batch.length * Math.max(...batch))),
    packed: packs.length * maxLength,
  };
  console.log(`${file}: ${rows.length} rows, ${real} tokens, ${(real / rows.length).toFixed(1)} a row, ${packs.length} packed rows of ${maxLength}`);
  for (const [name, n] of Object.entries(slots)) {
    console.log(`${name.padEnd(22)} ${String(n).padStart(9)} slots, ${((100 * real) / n).toFixed(1).padStart(5)} % real, ${(n / slots.packed!).toFixed(2)} x the slots of packing`);
  }

  const engine = await openEngine(await openNodeGpu(values.device as NodeGpuKind));
  const { config } = parseShape(values.shape, { batch: BATCH, length: maxLength });
  const weights = await loadWeights(engine, config, syntheticTensors(config));
  const lora = loraConfigSchema.parse({ r: 16, loraAlpha: 32, loraDropout: 0, targetModules: TARGET_MODULES });
  const adapter = new LoraAdapter(engine, config, lora, allTargets(config, lora.targetModules));
  adapter.initialise(42);
  const most = BATCH * maxLength;
  const plan = await TrainingPlan.create({ engine, config, weights, adapter, maxTokens: most, maxTargets: most, maxPositions: maxLength, loraDropout: 0, training: trainingConfigSchema.parse({}) });
  /** Examples a second over batches that hold so many examples each. */
  const speed = async (batches: { batch: Batch; examples: number }[]): Promise<number> => {
    const flats = batches.map(({ batch }) => flattenBatch({ ...batch, inputIds: batch.inputIds.map((id) => id % config.vocabSize), labels: batch.labels.map((id) => (id < 0 ? id : id % config.vocabSize)) }));
    const run = async (): Promise<number> => {
      const start = performance.now();
      for (const flat of flats) {
        await plan.microBatch(flat, 1 / flat.targets, 0);
        await plan.optimizerStep(1e-4, 1);
      }
      await engine.device.queue.onSubmittedWorkDone();
      return performance.now() - start;
    };
    await run();
    return (1000 * sum(batches.map(({ examples }) => examples))) / Math.min(await run(), await run());
  };
  const count = Number(values.batches);
  const unpacked = chunks(order, BATCH).slice(0, count).map((batch) => batch.map((row) => [row]));
  const packed = chunks(packs.map((pack) => pack.map((i) => order[i]!)), BATCH).slice(0, count);
  const longest = unpacked.map((batch) => Math.max(...batch.map(([row]) => row!.inputIds.length)));
  const speeds = {
    [`padded to ${maxLength}, computed`]: await speed(Array.from({ length: Math.min(2, count) }, () => ({ batch: filled(maxLength, BATCH, config.vocabSize), examples: BATCH }))),
    'padded to the longest, computed': await speed(unpacked.map((batch, i) => ({ batch: filled(longest[i]!, batch.length, config.vocabSize), examples: batch.length }))),
    'ours, not packed': await speed(unpacked.map((batch) => ({ batch: collatePacked(batch), examples: batch.length }))),
    'ours, packed': await speed(packed.map((batch) => ({ batch: collatePacked(batch), examples: sum(batch.map((pack) => pack.length)) }))),
  };
  console.log(`on ${engine.info.description}, ${values.shape}:`);
  for (const [name, n] of Object.entries(speeds)) console.log(`${name.padEnd(32)} ${n.toFixed(2).padStart(8)} examples/s, ${(speeds['ours, packed']! / n).toFixed(2)} times as many packed`);
  return 0;
}
