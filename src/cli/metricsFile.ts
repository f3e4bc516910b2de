/** metrics.jsonl: a line for each logged step, in the field names of TRL's logs. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { metricsLine, type MetricsLine } from '../export/metricsJsonl.ts';
import type { StepMetrics } from '../worker/protocol.ts';

/** A validation loss at a step that was not logged stands alone. */
type Line = MetricsLine | Pick<MetricsLine, 'step' | 'eval_loss'>;

/** Writes each line as soon as it is whole, so that a run that dies leaves what it measured. */
export class MetricsFile {
  readonly path: string;
  /** The last step waits here: its validation loss comes after it. */
  #pending: Line | null = null;

  #begun = false;

  /** Nothing is written before the first step: a run that never began leaves no file. */
  constructor(path: string) {
    this.path = path;
  }

  step(metrics: StepMetrics): void {
    this.flush();
    this.#pending = metricsLine(metrics);
  }

  /** A validation loss joins the line of its step; where that step was not logged it gets a line of its own. Step 0 is before the run. */
  evaluation(step: number, evalLoss: number): void {
    if (step === 0) return;
    if (this.#pending !== null && this.#pending.step !== step) this.flush();
    this.#pending = { ...(this.#pending ?? { step }), eval_loss: evalLoss };
  }

  flush(): void {
    if (this.#pending === null) return;
    const write = this.#begun ? appendFileSync : writeFileSync;
    write(this.path, `${JSON.stringify(this.#pending)}\n`);
    this.#begun = true;
    this.#pending = null;
  }
}
