/**
 * Owns what a session knows of its datasets: import, reports kept while nothing they depend on changes, and the feed of a
 * run. Refuses to know what trains on it.
 */
import { EtudeError } from '../../config/errors.ts';
import type { Recipe } from '../../config/recipe.ts';
import { changesFile, type Change, type Draws } from '../../data/changes.ts';
import { changesOfFixes, FixedRows } from '../../data/fixes.ts';
import { FIXES } from '../../data/findings.ts';
import { displayRow, encodeStoredRow, inspectStoredRow, messagesOf, rejectedOf, storedRowSource } from '../../data/encodedRows.ts';
import { importDataset, type ImportSource } from '../../data/importers/importDataset.ts';
import { messagesOfRow } from '../../data/messages.ts';
import { overlap, type Overlap, type Pairs, type Side } from '../../data/overlap.ts';
import { hashText } from '../../data/random.ts';
import { buildReport, type BuiltReport } from '../../data/report.ts';
import { leftOutBy, withRowOff, withRowOn } from '../../data/rowSwitch.ts';
import { DatasetStore } from '../../data/store.ts';
import { changesOfEdits, fileOfRow, indexBound } from '../../data/table/edits.ts';
import { heldRows } from '../../data/table/heldRows.ts';
import type { EncodedConversation, RefusedRow } from '../../data/template.ts';
import type { EtudeDatabase } from '../../data/db.ts';
import type { DatasetSummary, DisplayRow, FindingKind, FixSummary, InspectedRow, Mapping, Message, TemplateId } from '../../data/types.ts';
import type { OverlapPairs, Requests } from '../protocol.ts';
import type { RequestContext, SessionEnvironment } from './environment.ts';
import { buildFeed, type RunFeed } from './feed.ts';
import type { LoadedModel } from './loadedModel.ts';
import { RightOfWay } from './rightOfWay.ts';

/** The training whose changes are recorded. */
interface RecordedTraining { model: LoadedModel; template: TemplateId; maxLength: number | null; recipe?: Recipe }

export class Datasets {
  readonly store: DatasetStore;
  /** Reports and comparisons of all rows give way to it. */
  readonly rightOfWay = new RightOfWay();
  readonly #environment: SessionEnvironment;
  #report: { key: string; model: LoadedModel; value: Promise<BuiltReport>; signal: AbortSignal | undefined } | null = null;
  #planned: { key: string; model: LoadedModel; value: Promise<RunFeed> } | null = null;
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
    const { mapping, edits } = await this.get(id);
    const out: DisplayRow[] = [];
    // With rows taken out or added, the place of a row is not its index.
    let place = edits ? 0 : offset;
    for await (const row of this.store.rows(id, edits ? 0 : offset)) {
      if (place >= offset + limit) break;
      if (place++ >= offset) out.push(displayRow(row, mapping));
    }
    return out;
  }

  async rejected(id: string, index: number, mapping?: Mapping): Promise<string | null> {
    const summary = await this.get(id);
    const [row] = await (await this.fixed(id)).rowsAt(id, [index]);
    return rejectedOf(row!, mapping ?? summary.mapping);
  }

  async preview(id: string, index: number, mapping?: Mapping): Promise<Message[]> {
    const summary = await this.get(id);
    const [row] = await (await this.fixed(id)).rowsAt(id, [index]);
    const found = messagesOfRow(row!, mapping ?? summary.mapping, 'model');
    if (found.ok) return found.messages;
    throw new EtudeError({ code: `data.row.${found.kind}`, what: `Row ${index + 1} (line ${row!.line}) cannot be used: ${found.reason}.`, nextStep: 'Correct the mapping, or the row in the file.' });
  }

  async inspect(model: LoadedModel, args: Requests['data.inspect']['args']): Promise<InspectedRow> {
    const { row, mapping, turns, fixes } = await this.#looked(args);
    const inspected = inspectStoredRow(row, mapping, model.encoder(args.template, args.maxLength), model.tokenizer, turns);
    const titles = leftOutBy(fixes, args.index);
    return titles.length > 0 ? { ...inspected, leftOutBy: titles } : inspected;
  }

  /** The same row as the trainer would get it. */
  async encoded(model: LoadedModel, args: Requests['data.inspect']['args']): Promise<EncodedConversation | RefusedRow> {
    const { row, mapping, turns } = await this.#looked(args);
    return encodeStoredRow(row, mapping, model.encoder(args.template, args.maxLength), turns);
  }

  async #looked({ datasetId, index, trainedTurns }: Requests['data.inspect']['args']) {
    const { mapping } = await this.get(datasetId);
    const fixes = await this.store.fixes(datasetId);
    const [row] = await new FixedRows(this.store, datasetId, fixes).rowsAt(datasetId, [index]);
    return { row: row!, mapping, fixes, turns: trainedTurns ?? (await this.store.trainedTurns(datasetId)).get(index) };
  }

  /** Where a run with this recipe would put a row. */
  async trainingPlace(model: LoadedModel, { datasetId, index, recipe }: Requests['data.trainingPlace']['args'], context: RequestContext): Promise<Requests['data.trainingPlace']['result']> {
    const { index: { lengths } } = await this.report(model, datasetId, recipe.data.template, recipe.data.maxLength, context);
    const { split, packOf } = await this.#plannedFeed(model, datasetId, recipe, context);
    if (split.heldOut.includes(index)) return { part: 'heldOut', pack: null };
    if (!split.train.includes(index)) return { part: 'unused', pack: null };
    const pack = packOf(index);
    if (!pack) return { part: 'train', pack: null };
    const tokens = (rows: readonly number[]): number => rows.reduce((sum, row) => sum + lengths[row]!, 0);
    const { number, of, rows } = pack;
    return { part: 'train', pack: { number, of, from: tokens(rows.slice(0, rows.indexOf(index))), tokens: tokens(rows), capacity: recipe.data.maxLength, rows: rows.slice(0, 1000) } };
  }

  /** The feed of a run that was not asked for, kept while nothing it depends on changes: one row after the other is looked up in it. */
  #plannedFeed(model: LoadedModel, id: string, recipe: Recipe, context: RequestContext): Promise<RunFeed> {
    const key = [id, this.#version, JSON.stringify([recipe.data, recipe.training])].join('\n');
    if (this.#planned?.key !== key || this.#planned.model !== model) {
      const value = this.feed(model, id, recipe, { context });
      this.#planned = { key, model, value };
      value.catch(() => {
        if (this.#planned?.value === value) this.#planned = null;
      });
    }
    return this.#planned!.value;
  }

  /** Rows were edited: what was known of them is to be made again. */
  touched(): void {
    this.#version++;
  }

  /** All rows of a finding by the last report on the dataset. Throws EtudeError 'data.noReport'. */
  async rowsOfFinding(id: string, kind: FindingKind): Promise<{ rows: Int32Array; stale: boolean }> {
    const [of, , , version] = this.#report?.key.split('\n') ?? [];
    const report = of === id ? await this.#report!.value.catch(() => null) : null;
    if (!report) throw new EtudeError({ code: 'data.noReport', what: 'Rows can be chosen by a finding once there is a report on them.', nextStep: 'Wait for the report, or make it under Data, and choose again.' });
    return { rows: report.rowsOf(kind), stale: version !== String(this.#version) };
  }

  /** Changes whenever a run on the dataset would see other rows: by mapping, edits, fixes or switches. */
  async rowsKey(id: string): Promise<string> {
    const { mapping } = await this.get(id);
    const edits = (await this.store.edited(id))?.edits.map((edit) => edit.id) ?? [];
    const fixes = (await this.store.fixes(id)).map((fix) => [fix.id, fix.rows.length, fix.appliedAt]);
    const turns = [...(await this.store.trainedTurns(id))];
    return hashText(JSON.stringify([Object.entries(mapping).sort(([a], [b]) => (a < b ? -1 : 1)), edits, fixes, turns])).toString(36);
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
    const fixed = await this.fixed(id);
    return buildReport({
      rows: this.rightOfWay.behind(fixed.rows(), context?.signal),
      read: async (rows) => {
        await this.rightOfWay.giveWay(context?.signal);
        return fixed.rowsAt(id, rows);
      },
      leftOut: fixed.leftOut,
      dataset,
      encoder: model.encoder(template, maxLength),
      tokenizer: model.tokenizer,
      trainedTurns: await this.store.trainedTurns(id),
      ...(context ? { signal: context.signal, onProgress: (rows: number) => context.progress('Reading rows', rows, dataset.rows, 'rows') } : {}),
    });
  }

  /** The dataset as its edits and fixes leave it now, whatever comes later. */
  async fixed(id: string): Promise<FixedRows> {
    return new FixedRows(await this.store.snapshot(id), id, await this.store.fixes(id));
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

  async setRowTrained({ datasetId, index, trained }: Requests['data.setRowTrained']['args']): Promise<FixSummary[]> {
    const fixes = await this.store.fixes(datasetId);
    const [row] = await this.store.rowsAt(datasetId, [index]);
    this.#version++;
    await this.store.setFixes(datasetId, trained ? withRowOn(fixes, index) : withRowOff(fixes, index, row!.line, { id: crypto.randomUUID(), appliedAt: Date.now() }));
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
    const { near, ...same } = await this.#overlap(id, otherId, context);
    const listed = ({ rows, otherRows }: Pairs): OverlapPairs => ({ count: rows.length, rows: [...rows.subarray(0, 1000)], otherRows: [...otherRows.subarray(0, 1000)] });
    return { ...listed(same), near: listed(near), partial: near.partial };
  }

  async #overlap(id: string, otherId: string, context: RequestContext): Promise<Overlap> {
    const side = async (of: string): Promise<Side> => {
      const dataset = await this.get(of);
      const { mapping } = dataset;
      const count = indexBound(dataset);
      const fixed = await this.fixed(of);
      return { rows: this.rightOfWay.behind(fixed.rows(), context.signal), count, mapping, read: async (row) => (await fixed.rowsAt(of, [row]))[0]! };
    };
    const [one, other] = [await side(id), await side(otherId)];
    return overlap(one, other, context.signal, (rows) => context.progress('Comparing rows', rows, one.count + other.count, 'rows'));
  }

  /** Leaves the rows that another dataset has too out of training. */
  async leaveOutOverlap({ datasetId, otherId, near }: Requests['data.leaveOutOverlap']['args'], context: RequestContext): Promise<FixSummary[]> {
    const found = await this.#overlap(datasetId, otherId, context);
    const rows = Int32Array.from([...found.rows, ...(near ? found.near.rows : [])]).sort();
    if (rows.length === 0) throw new EtudeError({ code: 'data.noFix', what: 'No row overlaps any more.', nextStep: 'Nothing is left to do.' });
    const lines = Int32Array.from(await this.store.rowsAt(datasetId, rows), (row) => row.line);
    const { name } = await this.get(otherId);
    const fixes = await this.store.fixes(datasetId);
    const title = near ? `Rows that ask what ${name} asks, or nearly that` : `Rows that ask what ${name} asks`;
    this.#version++;
    await this.store.setFixes(datasetId, [...fixes, { id: crypto.randomUUID(), kind: 'overlap', action: 'drop', title, appliedAt: Date.now(), rows, lines }]);
    return this.fixes(datasetId);
  }

  /** The record of changes as a file; with `training` also what is dropped and cut on the way to the trainer, with its recipe what balance does. */
  async changes(id: string, format: 'text' | 'json', training: RecordedTraining | null, context: RequestContext, heldOut?: AsyncIterable<Change>): Promise<Requests['data.changes']['result']> {
    const dataset = await this.get(id);
    const fixes = await this.store.fixes(id);
    const recorded = training && {
      rows: (await this.fixed(id)).rows(), encoder: training.model.encoder(training.template, training.maxLength), trainedTurns: await this.store.trainedTurns(id),
      ...(await this.#draws(id, training, context)),
    };
    const edits = changesOfEdits((await this.store.edited(id))?.edits ?? [], (row) => fileOfRow(dataset.files, row));
    return changesFile({ dataset, ...(heldOut ? { split: heldOut } : {}), notes: this.store.notes(id), signal: context.signal, edits, fixes: changesOfFixes(fixes), ...(recorded ? { training: recorded } : {}) }, format);
  }

  async #draws(id: string, { model, recipe }: RecordedTraining, context: RequestContext): Promise<{ balance?: Draws }> {
    if (!recipe) return {};
    const { balance, feed, stepsPerEpoch } = await this.feed(model, id, recipe, { context });
    const epochs = Math.max(1, Math.ceil(feed.totalSteps / stepsPerEpoch));
    return balance ? { balance: { epochs, times: balance.timesDrawn(epochs, indexBound(await this.get(id))) } } : {};
  }

  /** @param heldOut dataset indices held out when the run began; chosen anew without */
  async feed(model: LoadedModel, id: string, recipe: Recipe, options: { heldOut?: Int32Array; context?: RequestContext } = {}): Promise<RunFeed> {
    const { template, maxLength } = recipe.data;
    const dataset = await this.get(id);
    const built = await this.report(model, id, template, maxLength, options.context);
    const source = storedRowSource(await this.fixed(id), id, dataset.mapping, model.encoder(template, maxLength), await this.store.trainedTurns(id));
    const heldOut = options.heldOut ?? (await this.#chosenHeldOut(dataset, built));
    return buildFeed({ dataset, built, recipe, source, ...(heldOut ? { heldOut } : {}) });
  }

  /** Rows that a split made by hand holds out, as far as they can be trained; null where there is none. */
  async #chosenHeldOut(dataset: DatasetSummary, { index: { usable } }: BuiltReport): Promise<Int32Array | null> {
    const split = await this.store.split(dataset.id);
    if (!split) return null;
    const held = new Set(await heldRows(this.store, dataset, split));
    const heldOut = usable.filter((row) => held.has(row));
    if (heldOut.length < usable.length || usable.length === 0) return heldOut;
    throw new EtudeError({
      code: 'data.allHeldOut', what: `The split holds out all of the ${usable.length.toLocaleString('en')} rows that can be trained.`, expected: 'At least one row to train on.',
      likelyCause: 'The other rows were deleted or left out since the split was made.', nextStep: 'Make the split again under Data, or take it back.',
    });
  }

  /** The questions of some rows, with the answers their rows give. */
  async prompts(model: LoadedModel, id: string, rows: ArrayLike<number>, template: TemplateId): Promise<{ index: number; messages: Message[]; prompt: string; reference: string }[]> {
    const { mapping } = await this.get(id);
    const encoder = model.encoder(template, null);
    // A run remembers rows that may have been deleted since.
    const edited = await this.store.edited(id);
    const there = Array.from(rows).filter((row) => edited?.isLive(row) ?? true);
    return (await (await this.fixed(id)).rowsAt(id, there)).flatMap((row) => {
      const found = messagesOf(row, mapping, encoder);
      const last = found.ok ? found.messages.findLastIndex((m) => m.role === 'assistant') : -1;
      if (!found.ok || last < 1) return [];
      const before = found.messages.slice(0, last);
      return [{ index: row.index, messages: before, prompt: before.findLast((m) => m.role === 'user')?.content ?? '', reference: found.messages[last]!.content }];
    });
  }
}
