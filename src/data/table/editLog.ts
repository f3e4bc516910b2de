/**
 * Owns where edits are kept: one record each behind a head that changes with every edit, written together, so that two tabs
 * never give one index to two rows. Refuses to know what an edit means.
 */
import type { IDBPTransaction } from 'idb';

import { stored, type EtudeDatabase, type EtudeSchema } from '../db.ts';
import { EditedRows, type EditHead, type StoredEdit } from './edits.ts';

const HEAD = 0;
/** How often a write is tried again that another tab came before. */
const TRIES = 5;

/** An edit as it is asked for, and what it does to the switches of its row's turns. */
export interface NewEdit extends Pick<StoredEdit, 'kind' | 'rows' | 'lines' | 'messages'> {
  /** The turns are others now: their switches are kept aside with the edit. */
  otherTurns?: boolean;
}

export class EditLog {
  readonly #db: EtudeDatabase;
  /** By dataset; null where there never was an edit. */
  readonly #held = new Map<string, EditedRows | null>();

  constructor(db: EtudeDatabase) {
    this.#db = db;
  }

  async head(id: string): Promise<EditHead | undefined> {
    return (await stored(() => this.#db.get('edits', [id, HEAD]))) as EditHead | undefined;
  }

  /** The edits in force as they were read last; null where there never was one. @param base rows the import stored */
  async current(id: string, base: number): Promise<EditedRows | null> {
    const held = this.#held.get(id);
    return held === undefined ? this.fresh(id, base) : held;
  }

  /** The same, read again where another tab has written. */
  async fresh(id: string, base: number): Promise<EditedRows | null> {
    const head = await this.head(id);
    if (!head) {
      this.#held.set(id, null);
      return null;
    }
    const held = this.#held.get(id);
    if (held?.head.stamp === head.stamp) return held;
    const edits = (await stored(() => this.#db.getAll('edits', IDBKeyRange.bound([id, HEAD + 1], [id, Number.MAX_SAFE_INTEGER])))) as StoredEdit[];
    const read = new EditedRows(base, head, edits);
    this.#held.set(id, read);
    return read;
  }

  forget(id: string): void {
    this.#held.delete(id);
  }

  /** Writes an edit. `make` sees the rows as they are then, and may refuse by throwing. */
  async append(id: string, base: number, make: (rows: EditedRows) => Promise<NewEdit>): Promise<StoredEdit> {
    for (let tries = 0; tries < TRIES; tries++) {
      const before = (await this.fresh(id, base)) ?? nothing(base);
      const { otherTurns, ...made } = await make(before);
      const edit: StoredEdit = { id: crypto.randomUUID(), number: before.head.number, at: Math.max(Date.now(), (before.edits.at(-1)?.at ?? 0) + 1), ...made };
      const next = before.next + (edit.kind === 'add' ? edit.rows.length : 0);
      const after = this.#after(base, { ...before.head, number: before.head.number + 1, next }, [...before.edits, edit]);
      const written = await this.#write(id, before.head.stamp, after.head, async (tx) => {
        const row = edit.rows[0]!;
        if (otherTurns) {
          edit.turnsBefore = (await tx.objectStore('turns').get([id, row])) ?? {};
          await tx.objectStore('turns').delete([id, row]);
        }
        await tx.objectStore('edits').put(edit, [id, edit.number]);
      });
      if (!written) continue;
      this.#held.set(id, after);
      return edit;
    }
    throw new Error('another tab edits this dataset all the time');
  }

  /** Takes edits back, with what they did to switches. */
  async remove(id: string, base: number, which: (rows: EditedRows) => StoredEdit | undefined): Promise<EditedRows | null> {
    for (let tries = 0; tries < TRIES; tries++) {
      const before = await this.fresh(id, base);
      const edit = before && which(before);
      if (!before || !edit) return before;
      const left = before.without(edit);
      const gone = before.edits.filter((other) => !left.includes(other));
      const [row] = edit.rows;
      const isLast = before.edits.findLast(({ kind, rows }) => kind !== 'delete' && rows[0] === row) === edit;
      const after = this.#after(base, before.head, left);
      const written = await this.#write(id, before.head.stamp, after.head, async (tx) => {
        for (const { number } of gone) await tx.objectStore('edits').delete([id, number]);
        const turns = isLast ? edit.turnsBefore : undefined;
        if (edit.kind === 'add' || (turns && Object.keys(turns).length === 0)) await tx.objectStore('turns').delete([id, row!]);
        else if (turns) await tx.objectStore('turns').put(turns, [id, row!]);
      });
      if (!written) continue;
      this.#held.set(id, after);
      return after;
    }
    throw new Error('another tab edits this dataset all the time');
  }

  #after(base: number, head: EditHead, edits: StoredEdit[]): EditedRows {
    const stamped = { ...head, stamp: crypto.randomUUID() };
    return new EditedRows(base, { ...stamped, ...new EditedRows(base, stamped, edits).counts() }, edits);
  }

  /** False where the head is another than `stamp`: nothing was written then. */
  async #write(id: string, stamp: string, head: EditHead, work: (tx: Transaction) => Promise<void>): Promise<boolean> {
    return stored(async () => {
      const tx = this.#db.transaction(['edits', 'turns'], 'readwrite');
      const there = (await tx.objectStore('edits').get([id, HEAD])) as EditHead | undefined;
      if ((there?.stamp ?? '') !== stamp) return false;
      await tx.objectStore('edits').put(head, [id, HEAD]);
      await work(tx);
      await tx.done;
      return true;
    });
  }
}

type Transaction = IDBPTransaction<EtudeSchema, ('edits' | 'turns')[], 'readwrite'>;

const nothing = (base: number): EditedRows => new EditedRows(base, { stamp: '', number: HEAD + 1, next: base, edited: 0, added: 0, deleted: 0 }, []);
