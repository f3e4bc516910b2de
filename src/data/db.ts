/**
 * Owns the IndexedDB database: its stores, its versions, and the words for what goes wrong with it. Works with
 * fake-indexeddb in Node. Refuses to know what is kept in the stores.
 */
import { openDB, type DBSchema, type IDBPDatabase } from 'idb';

import { EtudeError } from '../config/errors.ts';
import type { Columns, Hashes } from './table/columns.ts';
import type { EditHead, StoredEdit } from './table/edits.ts';
import type { StoredSplit } from './table/rowSplit.ts';
import type { AppliedFix, DatasetSummary, RowNote, StoredRow } from './types.ts';

export interface DatasetRecord {
  id: string;
  /** 'importing' until the last row is in. */
  state: 'importing' | 'ready';
  /** Time of the last write of an import under way. */
  heartbeat: number;
  summary: DatasetSummary;
  /** First row index of each chunk. */
  chunkStarts: number[];
}

/** Written last: columns without it are not whole. */
export interface ColumnsMade {
  /** JSON of the mapping they were made under. */
  mapping: string;
  chunks: number;
  /** Rows that repeat an earlier one. */
  repeats: Int32Array;
}

export interface EtudeSchema extends DBSchema {
  datasets: { key: string; value: DatasetRecord };
  /** Rows in chunks, by [dataset, chunk number]. */
  rows: { key: [string, number]; value: StoredRow[] };
  /** Switches of the mask inspector, by [dataset, row]: trained or not, by message index. */
  turns: { key: [string, number]; value: Record<number, boolean> };
  /** What an import dropped or changed, in chunks, by [dataset, chunk number]. */
  notes: { key: [string, number]; value: RowNote[] };
  /** Fixes in force, by dataset, in the order in which they were applied. */
  fixes: { key: string; value: AppliedFix[] };
  /** Columns of the table by [dataset, part]: 'c0', 'c1', … in chunks, 'h0', … their hashes, and 'made': of which mapping and rows. */
  columns: { key: [string, string]; value: Columns | Hashes | ColumnsMade };
  /** Edits in force by [dataset, number], from 1; the head at 0. */
  edits: { key: [string, number]; value: StoredEdit | EditHead };
  /** Held-out rows chosen by hand, by dataset. */
  splits: { key: string; value: StoredSplit };
  runs: { key: string; value: { id: string } };
  checkpoints: { key: string; value: unknown };
  /** Small things that outlast a visit, each under a key of its owner's. */
  settings: { key: string; value: unknown };
}

export type EtudeDatabase = IDBPDatabase<EtudeSchema>;

const NAME = 'etude';
/** 1: datasets, rows, turns, runs, checkpoints. 2: settings. 3: notes, fixes. 4: columns, edits, splits. */
const VERSION = 4;

/** Opens the database. EtudeError 'storage.blocked' when another tab holds an older version open, 'storage.unavailable' when there is none. */
export async function openDatabase(name = NAME): Promise<EtudeDatabase> {
  let opening: Promise<EtudeDatabase> | undefined;
  try {
    return await new Promise<EtudeDatabase>((resolve, reject) => {
      opening = openDB<EtudeSchema>(name, VERSION, {
        upgrade(db, from) {
          if (from < 1) {
            db.createObjectStore('datasets', { keyPath: 'id' });
            db.createObjectStore('rows');
            db.createObjectStore('turns');
            db.createObjectStore('runs', { keyPath: 'id' });
            db.createObjectStore('checkpoints');
          }
          if (from < 2) db.createObjectStore('settings');
          if (from < 3) {
            db.createObjectStore('notes');
            db.createObjectStore('fixes');
          }
          if (from < 4) for (const name of ['columns', 'edits', 'splits'] as const) db.createObjectStore(name);
        },
        blocked: () => reject(heldByAnotherTab()),
        blocking(_current, _blocked, event) {
          // A newer Etude wants in: let it. Later calls here fail and say so.
          (event.target as IDBDatabase).close();
        },
      });
      opening.then(resolve, reject);
    });
  } catch (error) {
    // An opening that was blocked may still come through: let it go.
    void opening?.then((db) => db.close(), () => undefined);
    throw storageError(error);
  }
}

function heldByAnotherTab(): EtudeError {
  return new EtudeError({
    code: 'storage.blocked',
    what: "The browser's storage is held by another tab with an older version of Etude.",
    expected: 'no other tab of an older Etude',
    likelyCause: 'Etude was updated while another tab stayed open.',
    nextStep: 'Close the other tabs of Etude, then reload this one. Nothing is lost.',
  });
}

/** An error of IndexedDB in words; others pass through. */
export function storageError(error: unknown): unknown {
  if (error instanceof EtudeError || !isDomException(error)) return error;
  if (error.name === 'QuotaExceededError') {
    return new EtudeError({
      code: 'storage.full',
      what: "The browser's storage is full; what was being written was not kept.",
      expected: 'free space in the storage of this site',
      likelyCause: 'Stored datasets, checkpoints or other sites fill the quota the browser gives.',
      nextStep: 'Delete datasets or runs you no longer need, or free disk space, and try again.',
    }, { cause: error });
  }
  if (['InvalidStateError', 'UnknownError', 'SecurityError', 'VersionError', 'AbortError', 'TransactionInactiveError'].includes(error.name)) {
    return new EtudeError({
      code: 'storage.unavailable',
      what: `The browser's storage cannot be used: ${(error.message || error.name).replace(/\.$/, '')}.`,
      expected: 'IndexedDB, open to this site',
      likelyCause: error.name === 'VersionError'
        ? 'A newer version of Etude has used this storage.'
        : 'A private window, a browser setting that forbids site data, or a tab with a newer Etude that took the storage over.',
      nextStep: 'Reload the page; use a normal window and allow this site to keep data.',
    }, { cause: error });
  }
  return error;
}

const isDomException = (error: unknown): error is DOMException => error instanceof Error && 'code' in error && typeof DOMException === 'function' && error instanceof DOMException;

/** Runs a database operation; its failure is thrown in words. */
export async function stored<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw storageError(error);
  }
}
