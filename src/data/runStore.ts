/**
 * Owns the stored runs and their checkpoints. A run is any record with an id; a checkpoint is an opaque value that
 * structured cloning can keep. Refuses to know what training puts into them.
 */
import { stored, type EtudeDatabase } from './db.ts';

export class RunStore<Run extends { id: string }, Checkpoint> {
  readonly #db: EtudeDatabase;

  constructor(db: EtudeDatabase) {
    this.#db = db;
  }

  async putRun(run: Run): Promise<void> {
    await stored(() => this.#db.put('runs', run));
  }

  async getRun(id: string): Promise<Run | null> {
    return ((await stored(() => this.#db.get('runs', id))) as Run | undefined) ?? null;
  }

  /** In no particular order. */
  async listRuns(): Promise<Run[]> {
    return (await stored(() => this.#db.getAll('runs'))) as unknown as Run[];
  }

  /** Removes a run and its checkpoint. */
  async deleteRun(id: string): Promise<void> {
    await stored(async () => {
      const tx = this.#db.transaction(['runs', 'checkpoints'], 'readwrite');
      await Promise.all([tx.objectStore('runs').delete(id), tx.objectStore('checkpoints').delete(id), tx.done]);
    });
  }

  /** Replaces the run's checkpoint; the old one stays until the new one is whole. */
  async putCheckpoint(runId: string, checkpoint: Checkpoint): Promise<void> {
    await stored(() => this.#db.put('checkpoints', checkpoint, runId));
  }

  async getCheckpoint(runId: string): Promise<Checkpoint | null> {
    return ((await stored(() => this.#db.get('checkpoints', runId))) as Checkpoint | undefined) ?? null;
  }

  async deleteCheckpoint(runId: string): Promise<void> {
    await stored(() => this.#db.delete('checkpoints', runId));
  }

  /** Ids of the runs that have one. */
  async listCheckpoints(): Promise<string[]> {
    return stored(() => this.#db.getAllKeys('checkpoints'));
  }
}
