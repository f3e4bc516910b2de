/** Views, edits, splits and exports of rows for the fake worker: as the protocol promises them, over rows that repeat. */
import type { DatasetSummary } from '../../src/worker/protocol.ts';
import type { EditSummary, RowRequests, RowView, ViewEvent, ViewRow } from '../../src/worker/protocolRows.ts';

type Turn = RowRequests['data.editRow']['args']['messages'][number];
type Handlers = { [N in keyof RowRequests]: (args: RowRequests[N]['args']) => Promise<RowRequests[N]['result']> | RowRequests[N]['result'] };

interface Host {
  pairOf: (index: number) => readonly [string, string];
  dataset: (id: string) => DatasetSummary;
  change: (dataset: DatasetSummary) => void;
  emit: (event: ViewEvent) => void;
  wait: (ms: number) => Promise<void>;
  /** Rows of a finding. */
  finding: (kind: string) => readonly number[] | null;
}

const TASKS = ['question-answering', 'question-answering', 'generation', 'code'] as const;
const CHUNK = 50_000;

/** Rows as they are in the file, without a list of them: a million cost nothing. */
interface View { datasetId: string; rows: number[] | null; searching: boolean }

export class FakeRows {
  readonly #host: Host;
  readonly #views = new Map<string, View>();
  readonly #written = new Map<string, Turn[]>();
  readonly #deleted = new Map<string, Set<number>>();
  #edits: (EditSummary & { datasetId: string; indices: number[]; before: Turn[] | undefined })[] = [];
  #ids = 0;

  constructor(host: Host) { this.#host = host; }

  turns(datasetId: string, index: number): Turn[] {
    const [prompt, answer] = this.#host.pairOf(index);
    return this.#written.get(`${datasetId} ${index}`) ?? [{ role: 'user', content: prompt }, { role: 'assistant', content: answer }];
  }

  #row(datasetId: string, index: number): ViewRow {
    const { rows, edits, split } = this.#host.dataset(datasetId);
    const turns = this.turns(datasetId, index);
    const prompt = turns.findLast((t) => t.role === 'user')?.content ?? '';
    const answer = turns.findLast((t) => t.role === 'assistant')?.content ?? '';
    const added = this.#edits.some((e) => e.kind === 'add' && e.datasetId === datasetId && e.indices.includes(index));
    const value = Math.min(1, answer.length / 100);
    return {
      index, line: added ? 0 : index + 1, prompt, answer: answer.replaceAll('\n', ' '), task: TASKS[index % TASKS.length]!,
      quality: Math.floor(50 + 50 * value), parts: [{ name: 'Answered', weight: 50, value: 1, words: 'it has an answer' }, { name: 'Length', weight: 50, value, words: `${answer.length} characters` }],
      promptChars: prompt.length, answerChars: answer.length, totalChars: prompt.length + answer.length,
      edited: this.#written.has(`${datasetId} ${index}`), held: split !== undefined && index % 10 === 9 && index < rows + (edits?.deleted ?? 0), leftOut: false,
    };
  }

  #left(datasetId: string): number[] {
    const { rows, edits } = this.#host.dataset(datasetId);
    const gone = this.#deleted.get(datasetId);
    return Array.from({ length: edits?.next ?? rows }, (_, i) => i).filter((i) => !gone?.has(i));
  }

  #rowsOf(viewId: string): number[] {
    const { rows, datasetId } = this.#views.get(viewId)!;
    return rows ?? this.#left(datasetId);
  }

  #matches({ where }: RowView, row: ViewRow): boolean {
    const inside = (range: readonly [number, number] | undefined, value: number) => !range || (value >= range[0] && value <= range[1]);
    return (!where.task || where.task.includes(row.task)) && inside(where.quality, row.quality) && inside(where.prompt, row.promptChars) && inside(where.answer, row.answerChars)
      && (where.held === undefined || where.held === row.held) && (where.edited === undefined || where.edited === row.edited) && (where.leftOut ?? false) === row.leftOut;
  }

  #order(datasetId: string, { sort }: RowView, rows: number[]): number[] {
    if (sort.by === 'row') return sort.descending ? rows.toReversed() : rows;
    const key = { prompt: 'promptChars', answer: 'answerChars', total: 'totalChars', quality: 'quality', task: 'task' } as const;
    const of = (index: number) => this.#row(datasetId, index)[key[sort.by as keyof typeof key]];
    const sorted = rows.toSorted((a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : a - b));
    return sort.descending ? sorted.toReversed() : sorted;
  }

  async #search(viewId: string, view: View, text: string, candidates: number[]): Promise<void> {
    for (let from = 0; from < candidates.length; from += CHUNK) {
      await this.#host.wait(5);
      if (!view.searching) return;
      const chunk = candidates.slice(from, from + CHUNK);
      const found = view.rows!;
      found.push(...chunk.filter((i) => this.turns(view.datasetId, i).some((t) => t.content.toLowerCase().includes(text))));
      const done = from + CHUNK >= candidates.length;
      if (done) view.searching = false;
      this.#host.emit({ type: 'data.view', viewId, count: found.length, searched: Math.min(from + CHUNK, candidates.length), total: candidates.length, done });
    }
  }

  #did(datasetId: string, kind: EditSummary['kind'], indices: number[], words: string, before?: Turn[]): void {
    this.#edits = [...this.#edits, { id: `edit-${++this.#ids}`, kind, rows: indices.length, at: Date.now(), words, datasetId, indices, before }];
    this.#count(datasetId);
  }

  #count(datasetId: string): void {
    const dataset = this.#host.dataset(datasetId);
    const mine = this.#edits.filter((e) => e.datasetId === datasetId);
    const rowsOf = (kind: EditSummary['kind']) => mine.filter((e) => e.kind === kind).reduce((n, e) => n + e.rows, 0);
    const before = dataset.edits ?? { added: 0, deleted: 0 };
    const imported = dataset.rows - before.added + before.deleted;
    const { edits: _, ...plain } = dataset;
    const edits = { edited: rowsOf('edit'), added: rowsOf('add'), deleted: rowsOf('delete'), next: imported + rowsOf('add') };
    this.#host.change({ ...plain, rows: edits.next - edits.deleted, ...(mine.length ? { edits } : {}) });
  }

  readonly #list = (datasetId: string): EditSummary[] => this.#edits.filter((e) => e.datasetId === datasetId);

  readonly handlers: Handlers = {
    'data.view': ({ datasetId, view }) => {
      const viewId = `view-${++this.#ids}`;
      const { rows: total, edits } = this.#host.dataset(datasetId);
      if (!edits && view.search.trim() === '' && Object.keys(view.where).length === 0 && view.sort.by === 'row' && !view.sort.descending) {
        this.#views.set(viewId, { datasetId, rows: null, searching: false });
        return { viewId, count: total, total, searching: false };
      }
      const all = this.#left(datasetId);
      const named = view.where.finding ? this.#host.finding(view.where.finding) : null;
      // oxlint-disable-next-line no-throw-literal -- carried to the page as the error of the request
      if (view.where.finding && !named) throw { userMessage: { code: 'data.noReport', what: 'No finding of this kind is known.' } };
      const plain = Object.keys(view.where).length === 0;
      const rows = this.#order(datasetId, view, (named ? all.filter((i) => named.includes(i)) : all).filter((i) => plain || this.#matches(view, this.#row(datasetId, i))));
      const text = view.search.trim().toLowerCase();
      const made: View = { datasetId, rows: text ? [] : rows, searching: text !== '' };
      this.#views.set(viewId, made);
      if (text) void this.#search(viewId, made, text, rows);
      return { viewId, count: text ? 0 : rows.length, total: all.length, searching: made.searching };
    },
    'data.viewRows': ({ viewId, offset, limit }) => {
      const { datasetId, rows } = this.#views.get(viewId)!;
      const gone = this.#deleted.get(datasetId);
      const inFile = (): number[] => Array.from({ length: Math.max(0, Math.min(limit, this.#host.dataset(datasetId).rows - offset)) }, (_, i) => offset + i);
      const shown = rows === null && !gone?.size ? inFile() : this.#rowsOf(viewId).filter((i) => !gone?.has(i)).slice(offset, offset + limit);
      return shown.map((i) => this.#row(datasetId, i));
    },
    'data.viewClose': ({ viewId, keep }) => {
      const view = this.#views.get(viewId);
      if (view) view.searching = false;
      if (!keep) this.#views.delete(viewId);
      return null;
    },
    'data.editRow': ({ datasetId, index, messages }) => {
      const before = this.#written.get(`${datasetId} ${index}`);
      this.#written.set(`${datasetId} ${index}`, messages);
      this.#did(datasetId, 'edit', [index], `Row ${index + 1} was edited`, before);
      return this.#row(datasetId, index);
    },
    'data.addRow': ({ datasetId, messages }) => {
      const { rows, edits } = this.#host.dataset(datasetId);
      const index = edits?.next ?? rows;
      this.#written.set(`${datasetId} ${index}`, messages);
      this.#did(datasetId, 'add', [index], `Row ${index + 1} was added`);
      return this.#row(datasetId, index);
    },
    'data.deleteRows': ({ datasetId, viewId, indexes }) => {
      const gone = this.#deleted.get(datasetId) ?? new Set<number>();
      const indices = (indexes ?? this.#rowsOf(viewId!)).filter((i) => !gone.has(i));
      this.#deleted.set(datasetId, new Set([...gone, ...indices]));
      this.#did(datasetId, 'delete', indices, indices.length === 1 ? `Row ${indices[0]! + 1} was deleted` : `${indices.length} rows were deleted`);
      return { deleted: indices.length };
    },
    'data.undoEdit': ({ datasetId, editId }) => {
      const edit = this.#edits.find((e) => e.id === editId)!;
      if (edit.kind === 'delete') for (const i of edit.indices) this.#deleted.get(datasetId)!.delete(i);
      else if (edit.before) this.#written.set(`${datasetId} ${edit.indices[0]}`, edit.before);
      else this.#written.delete(`${datasetId} ${edit.indices[0]}`);
      this.#edits = this.#edits.filter((e) => e !== edit);
      this.#count(datasetId);
      return this.#list(datasetId);
    },
    'data.edits': ({ datasetId }) => this.#list(datasetId),
    'data.exportRows': ({ datasetId, viewId }) => {
      const rows = viewId ? this.#rowsOf(viewId) : this.#left(datasetId);
      return { fileName: 'rows.jsonl', blob: new Blob(rows.map((i) => `${JSON.stringify({ messages: this.turns(datasetId, i) })}\n`)), rows: rows.length };
    },
    'data.setSplit': ({ datasetId, split }) => {
      const { split: _, ...dataset } = this.#host.dataset(datasetId);
      const heldOut = split ? Math.round(split.ratio * dataset.rows) : 0;
      const counts = { train: dataset.rows - heldOut, heldOut, groups: dataset.rows - 3 };
      this.#host.change(split ? { ...dataset, split: { ...split, ...counts } } : dataset);
      return counts;
    },
    'data.create': ({ name }) => {
      const made: DatasetSummary = {
        id: `typed-${++this.#ids}`, name, source: 'file', bytes: 0, rows: 0, skipped: 0, skippedLines: [], mapping: { shape: 'messages', messages: 'messages' },
        detectedBecause: 'An empty set, to type rows into.', fields: ['messages'], createdAt: Date.now(), edits: { edited: 0, added: 0, deleted: 0, next: 0 },
      };
      this.#host.change(made);
      return made;
    },
  };
}
