/**
 * Owns the stored runs: what is kept of each, its checkpoint, and who may write it. Refuses to know how training works.
 */
import { EtudeError } from '../../config/errors.ts';
import { runInOtherTab } from '../../config/messages.ts';
import { stored, type EtudeDatabase } from '../../data/db.ts';
import type { DataCursor } from '../../data/loader.ts';
import { RunStore } from '../../data/runStore.ts';
import type { LoraTarget } from '../../model/lora.ts';
import type { TrainerState } from '../../train/trainer.ts';
import type { RunDetail, RunSummary } from '../protocol.ts';

/** All that decides the rest of a run, and all that its adapter needs to be used again. */
export interface Checkpoint {
  state: TrainerState<DataCursor>;
  /** Kernel variants of the run: another choice would give other bits. */
  variants: Record<string, string>;
  /** Adapter key -> identifies adapter and driver the bits belong to. */
  device: string;
  heldOut: Int32Array;
  targets: LoraTarget[];
}

export class Runs {
  readonly store: RunStore<RunDetail, Checkpoint>;
  readonly #db: EtudeDatabase;
  readonly #locks: LockManager | undefined;
  /** Releases the lock of a run this session is writing. */
  readonly #held = new Map<string, () => void>();

  constructor(db: EtudeDatabase, locks: LockManager | undefined) {
    this.store = new RunStore(db);
    this.#db = db;
    this.#locks = locks;
  }

  /** Claims the right to write a run. Throws EtudeError run.otherTab. */
  async claim(id: string, name: string): Promise<void> {
    if (this.#held.has(id)) return;
    if (!this.#locks) {
      this.#held.set(id, () => {});
      return;
    }
    const got = await new Promise<boolean>((resolve, reject) => {
      this.#locks!.request(lockName(id), { ifAvailable: true }, (lock) => {
        if (!lock) {
          resolve(false);
          return undefined;
        }
        return new Promise<void>((release) => {
          this.#held.set(id, release);
          resolve(true);
        });
      }).catch(reject);
    });
    if (!got) throw new EtudeError(runInOtherTab(name));
  }

  release(id: string): void {
    this.#held.get(id)?.();
    this.#held.delete(id);
  }

  /** Throws EtudeError run.otherTab while another tab writes the run. */
  async refuseIfElsewhere(id: string): Promise<void> {
    if (this.#held.has(id)) return;
    const held = (await this.#locks?.query())?.held ?? [];
    if (held.some((lock) => lock.name === lockName(id))) throw new EtudeError(runInOtherTab((await this.detail(id)).name));
  }

  /** Throws EtudeError run.busy while any tab trains on the dataset. */
  async refuseIfTrainedOn(datasetId: string): Promise<void> {
    const live = (await this.list()).find((run) => run.dataset.id === datasetId && (run.status === 'running' || run.status === 'paused'));
    if (live) throw new EtudeError({ code: 'run.busy', what: `${live.name} is being trained on this dataset.`, nextStep: 'Stop the run first, here or in its tab.' });
  }

  async detail(id: string): Promise<RunDetail> {
    const run = await this.store.getRun(id);
    if (!run) {
      throw new EtudeError({ code: 'run.missing', what: 'This run is no longer stored.', likelyCause: 'It was deleted in another tab.', nextStep: 'Reload the list of runs.' });
    }
    return (await this.#current([run]))[0]!;
  }

  /** Newest first, without the long lists. */
  async list(): Promise<RunSummary[]> {
    const runs = await this.#current(await this.store.listRuns());
    return runs.map(summaryOf).sort((a, b) => b.createdAt - a.createdAt);
  }

  /** A run that says it is going on, and that nobody holds, was interrupted. */
  async #current(runs: RunDetail[]): Promise<RunDetail[]> {
    const held = new Set((await this.#locks?.query())?.held?.map((lock) => lock.name) ?? []);
    const saved = new Set(await this.store.listCheckpoints());
    const datasets = new Set(await stored(() => this.#db.getAllKeys('datasets')));
    return runs.map((run) => {
      const live = this.#held.has(run.id) || held.has(lockName(run.id));
      const status = (run.status === 'running' || run.status === 'paused') && !live ? 'interrupted' : run.status;
      return { ...run, status, resumable: saved.has(run.id) && datasets.has(run.dataset.id) && !live && status !== 'finished' && run.step < run.totalSteps };
    });
  }
}

const lockName = (id: string): string => `etude-run-${id}`;

export const summaryOf = ({ metrics, answers, alerts, ...summary }: RunDetail): RunSummary => {
  void metrics;
  void answers;
  void alerts;
  return summary;
};
