/**
 * Owns what a session knows of its datasets: import, reports kept while nothing they depend on changes, and the feed of a
 * run. Refuses to know what trains on it.
 */
import { EtudeError } from '../../config/errors.ts';
import { countSteps } from '../../config/forecast.ts';
import type { Recipe } from '../../config/recipe.ts';
import { changesFile } from '../../data/changes.ts';
import { changesOfFixes, FixedRows } from '../../data/fixes.ts';
import { FIXES } from '../../data/findings.ts';
import { displayRow, inspectStoredRow, messagesOf, storedRowSource } from '../../data/encodedRows.ts';
import { importDataset, type ImportSource } from '../../data/importers/importDataset.ts';
import { batchesInOrder, DataLoader, type DataCursor } from '../../data/loader.ts';
import { toMessages } from '../../data/messages.ts';
import { overlap } from '../../data/overlap.ts';
import { buildReport, type BuiltReport } from '../../data/report.ts';
import { splitByPrompt, type Split } from '../../data/split.ts';
import { DatasetStore } from '../../data/store.ts';
import type { EtudeDatabase } from '../../data/db.ts';
import type { DatasetSummary, DisplayRow, FixSummary, InspectedRow, Mapping, Message, TemplateId } from '../../data/types.ts';
import type { TrainingFeed } from '../../train/trainer.ts';
import type { Requests } from '../protocol.ts';
import type { RequestContext, SessionEnvironment } from './environment.ts';
import type { LoadedModel } from './loadedModel.ts';

/** One feed, and what is known of it before it starts. */
export interface RunFeed {
  feed: TrainingFeed<DataCursor>;
  split: Split;
  stepsPerEpoch: number;
  /** Of one pass over the training rows. */
  perEpoch: { tokens: number; targets: number };
  /** Bounds of any batch, held-out ones included. */
  largest: { tokens: number; targets: number; positions: number };
  dropped: number;
}

export class Datasets {
  readonly store: DatasetStore;
  readonly #environment: SessionEnvironment;
  #report: { key: string; model: LoadedModel; value: Promise<BuiltReport>; signal: AbortSignal | undefined } | null = null;
  /** Changes whenever something a report depends on does. */
  #version = 0;

  constructor(db: EtudeDatabase, environment: SessionEnvironment) {
    this.store = new DatasetStore(db);
    this.#environment = environment;
  }

  async import(source: ImportSource, context: RequestContext, mapping?: Mapping): Promise<DatasetSummary> {
    await this.store.removeHalfWritten();
    const { storage } = this.#environment;
    return importDataset(source, this.store, {
      ...(mapping ? { mapping } : {}),
      signal: context.signal,
      onProgress: (p) => context.progress(`${p.rows.toLocaleString('en')} rows`, p.bytes, p.totalBytes, 'bytes'),
      ...(storage ? { estimate: () => storage.estimate() } : {}),
    });
  }

  async get(id: string): Promise<DatasetSummary> {
    const found = await this.store.get(id);
    if (found) return found;
    throw new EtudeError({ code: 'data.missing', what: 'This dataset is no longer stored.', likelyCause: 'It was deleted, here or in another tab.', nextStep: 'Import the file again.' });
  }

  async setMapping(id: string, mapping: Mapping): Promise<DatasetSummary> {
    this.#version++;
    await this.get(id);
    return (await this.store.setMapping(id, mapping))!;
  }

  async setTrainedTurns(id: string, index: number, turns: Record<number, boolean>): Promise<void> {
    this.#version++;
    await this.store.setTrainedTurns(id, index, turns);
  }

  async delete(id: string): Promise<void> {
    this.#version++;
    await this.store.delete(id);
  }

  async rows(id: string, offset: number, limit: number): Promise<DisplayRow[]> {
    const { mapping } = await this.get(id);
    const out: DisplayRow[] = [];
    for await (const row of this.store.rows(id, offset, offset + limit)) out.push(displayRow(row, mapping));
    return out;
  }

  async preview(id: string, index: number, mapping?: Mapping): Promise<Message[]> {
    const summary = await this.get(id);
    const [row] = await this.store.rowsAt(id, [index]);
    const found = toMessages(row!.value, mapping ?? summary.mapping, 'model');
    if (found.ok) return found.messages;
    throw new EtudeError({ code: `data.row.${found.kind}`, what: `Row ${index + 1} (line ${row!.line}) cannot be used: ${found.reason}.`, nextStep: 'Correct the mapping, or the row in the file.' });
  }

  async inspect(model: LoadedModel, args: Requests['data.inspect']['args']): Promise<InspectedRow> {
    const { mapping } = await this.get(args.datasetId);
    const [row] = await (await this.#fixed(args.datasetId)).rowsAt(args.datasetId, [args.index]);
    const turns = args.trainedTurns ?? (await this.store.trainedTurns(args.datasetId)).get(args.index);
    return inspectStoredRow(row!, mapping, model.encoder(args.template, args.maxLength), model.tokenizer, turns);
  }

  /** The report and the row index of it; made once for the same rows, mapping, switches, template and length. */
  async report(model: LoadedModel, id: string, template: TemplateId, maxLength: number, context?: RequestContext): Promise<BuiltReport> {
    const key = [id, template, maxLength, this.#version].join('\n');
    if (this.#report?.key !== key || this.#report.model !== model) {
      const value = this.#buildReport(model, id, template, maxLength, context);
      this.#report = { key, model, value, signal: context?.signal };
      value.catch(() => {
        if (this.#report?.value === value) this.#report = null;
      });
    }
    const { value, signal } = this.#report!;
    return value.catch((error: unknown) => {
      // Whoever began it gave up; this caller did not.
      if (signal?.aborted && !context?.signal.aborted) return this.report(model, id, template, maxLength, context);
      throw error;
    });
  }

  async #buildReport(model: LoadedModel, id: string, template: TemplateId, maxLength: number, context?: RequestContext) {
    const dataset = await this.get(id);
    const fixed = await this.#fixed(id);
    return buildReport({
      rows: fixed.rows(),
      read: (rows) => fixed.rowsAt(id, rows),
      leftOut: fixed.leftOut,
      dataset,
      encoder: model.encoder(template, maxLength),
      tokenizer: model.tokenizer,
      trainedTurns: await this.store.trainedTurns(id),
      ...(context ? { signal: context.signal, onProgress: (rows: number) => context.progress('Reading rows', rows, dataset.rows, 'rows') } : {}),
    });
  }

  /** The dataset as its fixes leave it. */
  async #fixed(id: string): Promise<FixedRows> {
    return new FixedRows(this.store, id, await this.store.fixes(id));
  }

  async fixes(id: string): Promise<FixSummary[]> {
    return (await this.store.fixes(id)).map(({ id, kind, action, title, appliedAt, rows }) => ({ id, kind, action, title, appliedAt, rows: rows.length }));
  }

  /** Corrects every row of a finding; what was corrected before stays so. */
  async applyFix(model: LoadedModel, { datasetId, kind, template, maxLength }: Requests['data.applyFix']['args'], context: RequestContext): Promise<FixSummary[]> {
    const fix = FIXES[kind];
    const rows = (await this.report(model, datasetId, template, maxLength, context)).rowsOf(kind);
    if (!fix || rows.length === 0) {
      throw new EtudeError({
        code: 'data.noFix', what: fix ? 'No row has this finding any more.' : 'This finding has no correction that is safe for every row.',
        nextStep: 'Look at its rows one by one.',
      });
    }
    const lines = Int32Array.from(await this.store.rowsAt(datasetId, rows), (row) => row.line);
    const fixes = await this.store.fixes(datasetId);
    this.#version++;
    await this.store.setFixes(datasetId, [...fixes, { id: crypto.randomUUID(), kind, ...fix, appliedAt: Date.now(), rows, lines }]);
    return this.fixes(datasetId);
  }

  /** Takes one fix back, whichever of them; without an id the last. */
  async undoFix(id: string, fixId?: string): Promise<FixSummary[]> {
    const fixes = await this.store.fixes(id);
    const last = fixId ?? fixes.at(-1)?.id;
    this.#version++;
    await this.store.setFixes(id, fixes.filter((fix) => fix.id !== last));
    return this.fixes(id);
  }

  /** Rows of one dataset that another asks too. */
  async overlap(id: string, otherId: string, context: RequestContext): Promise<Requests['data.overlap']['result']> {
    const side = async (of: string) => {
      const { rows: count, mapping } = await this.get(of);
      return { rows: (await this.#fixed(of)).rows(), count, mapping };
    };
    const { rows, otherRows } = await overlap(await side(id), await side(otherId), context.signal);
    return { count: rows.length, rows: [...rows.subarray(0, 1000)], otherRows: [...otherRows.subarray(0, 1000)] };
  }

  /** The record of changes as a file; with `training` also what is dropped and cut on the way to the trainer. */
  async changes(id: string, format: 'text' | 'json', training: { model: LoadedModel; template: TemplateId; maxLength: number | null } | null, context: RequestContext): Promise<Requests['data.changes']['result']> {
    const dataset = await this.get(id);
    const fixes = await this.store.fixes(id);
    return changesFile({
      dataset, notes: this.store.notes(id), signal: context.signal, fixes: changesOfFixes(fixes),
      ...(training ? { training: { rows: (await this.#fixed(id)).rows(), encoder: training.model.encoder(training.template, training.maxLength), trainedTurns: await this.store.trainedTurns(id) } } : {}),
    }, format);
  }

  /** @param heldOut dataset indices held out when the run began; chosen anew without */
  async feed(model: LoadedModel, id: string, recipe: Recipe, options: { heldOut?: Int32Array; context?: RequestContext } = {}): Promise<RunFeed> {
    const { template, maxLength } = recipe.data;
    const { training } = recipe;
    const { mapping } = await this.get(id);
    const { report, index } = await this.report(model, id, template, maxLength, options.context);
    if (index.usable.length === 0) {
      const why = report.findings.find((f) => f.severity === 'error');
      throw new EtudeError({
        code: 'data.noUsableRows',
        what: `None of the ${report.rows.toLocaleString('en')} rows can be trained.`,
        expected: 'At least one row with a trained token.',
        likelyCause: why ? `${why.title}: ${why.detail}` : 'No row has an answer under this mapping.',
        nextStep: 'Open Data, correct the mapping or the template, or raise the maximum length.',
      });
    }
    const split = options.heldOut
      ? { heldOut: options.heldOut, train: without(index.usable, options.heldOut) }
      : splitByPrompt(index.usable, index.promptHashes, training.validationSplit, training.seed);
    const source = storedRowSource(await this.#fixed(id), id, mapping, model.encoder(template, maxLength), await this.store.trainedTurns(id));
    const B = training.perDeviceTrainBatchSize;
    const loader = new DataLoader(source, {
      rows: split.train, lengths: index.lengths, batchSize: B, gradientAccumulationSteps: training.gradientAccumulationSteps,
      seed: training.seed, shuffle: training.shuffle, packing: training.packing, maxLength,
    });
    const counts = countSteps(loader.batchesPerEpoch * B, training);
    const sum = (rows: Int32Array, values: Int32Array): number => rows.reduce((n, row) => n + values[row]!, 0);
    const all = Int32Array.from([...split.train, ...split.heldOut]);
    const largest = (values: Int32Array): number => Int32Array.from(all, (row) => values[row]!).sort().slice(-B).reduce((a, b) => a + b, 0);
    const packed = Math.min(B * maxLength, sum(all, index.lengths));
    return {
      feed: {
        windows: (cursor) => loader.windows(cursor),
        evaluation: split.heldOut.length > 0 ? () => batchesInOrder(source, split.heldOut, B) : null,
        totalSteps: counts.totalSteps,
        warmupSteps: counts.warmupSteps,
      },
      split,
      stepsPerEpoch: counts.stepsPerEpoch,
      perEpoch: { tokens: sum(split.train, index.lengths), targets: sum(split.train, index.targets) },
      largest: {
        tokens: training.packing ? packed : largest(index.lengths),
        targets: training.packing ? Math.min(packed, sum(all, index.targets)) : largest(index.targets),
        positions: all.reduce((n, row) => Math.max(n, index.lengths[row]!), 1),
      },
      dropped: report.droppedRows,
    };
  }

  /** The questions of some rows, with the answers their rows give. */
  async prompts(model: LoadedModel, id: string, rows: ArrayLike<number>, template: TemplateId): Promise<{ index: number; messages: Message[]; prompt: string; reference: string }[]> {
    const { mapping } = await this.get(id);
    const encoder = model.encoder(template, null);
    return (await (await this.#fixed(id)).rowsAt(id, rows)).flatMap((row) => {
      const found = messagesOf(row, mapping, encoder);
      const last = found.ok ? found.messages.findLastIndex((m) => m.role === 'assistant') : -1;
      if (!found.ok || last < 1) return [];
      const before = found.messages.slice(0, last);
      return [{ index: row.index, messages: before, prompt: before.findLast((m) => m.role === 'user')?.content ?? '', reference: found.messages[last]!.content }];
    });
  }
}

function without(rows: Int32Array, left: Int32Array): Int32Array {
  const out = new Set(left);
  return rows.filter((row) => !out.has(row));
}
