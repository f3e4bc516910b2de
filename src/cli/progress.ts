/** A progress line for the terminal: redrawn in place on a screen, a line now and then in a log file. */

export interface ProgressState {
  label: string;
  done: number;
  /** null while unknown. */
  total: number | null;
  /** How `done` and `total` are written; plain numbers without it. */
  unit?: 'bytes' | 'rows' | 'tensors';
  /** What stands behind the bar, e.g. 'loss 2.31'. */
  note?: string;
  /** A better forecast than the share of the time so far. */
  secondsLeft?: number | null;
}

/** '59 s', '4:07 min', '1:02:09 h'. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)} min`;
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)} h`;
}

/** Time left is a guess from the share done; before two seconds have passed it would be a poor one. */
function timeLeft({ secondsLeft }: ProgressState, share: number, elapsedSeconds: number): string | null {
  if (share <= 0 || share >= 1) return null;
  if (typeof secondsLeft === 'number') return `${formatDuration(secondsLeft)} left`;
  return elapsedSeconds < 2 ? null : `${formatDuration((elapsedSeconds / share) * (1 - share))} left`;
}

const amount = (n: number, unit: ProgressState['unit']): string => (unit === 'bytes' ? (n / 1e6).toFixed(1) : String(n));

/** One line of text, never wider than `columns`. */
export function renderProgress(state: ProgressState, elapsedSeconds: number, columns = 100): string {
  const { label, done, total, note, unit } = state;
  const suffix = unit === 'bytes' ? ' MB' : '';
  const parts = [label];
  if (total !== null && total > 0) {
    const share = Math.min(1, Math.max(0, done / total));
    const filled = Math.round(share * 24);
    parts.push(`[${'#'.repeat(filled)}${'.'.repeat(24 - filled)}]`, `${amount(done, unit)}/${amount(total, unit)}${suffix}`);
    if (note !== undefined) parts.push(note);
    const left = timeLeft(state, share, elapsedSeconds);
    if (left !== null) parts.push(left);
  } else {
    parts.push(`${amount(done, unit)}${suffix}`);
    if (note !== undefined) parts.push(note);
  }
  return parts.join('  ').slice(0, Math.max(1, columns - 1));
}

interface Output { write(text: string): unknown; isTTY?: boolean; columns?: number }

/** Draws to `output`, by default stderr so that stdout stays for results. */
export class ProgressBar {
  #output: Output;
  #now: () => number;
  #task = '';
  #started = 0;
  #lastLog = -Infinity;
  #lastText = '';
  #drawn = false;

  constructor(output: Output = process.stderr, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#now = now;
  }

  update(state: ProgressState): void {
    const now = this.#now();
    // A count inside the label does not make it another task.
    const task = state.label.replaceAll(/[\d.,]+/g, '');
    if (task !== this.#task) {
      this.finish();
      this.#task = task;
      this.#started = now;
      this.#lastLog = -Infinity;
    }
    this.#lastText = renderProgress(state, (now - this.#started) / 1000, this.#output.isTTY ? this.#output.columns : undefined);
    if (this.#output.isTTY) {
      this.#output.write(`\r${this.#lastText}\x1b[K`);
      this.#drawn = true;
    } else if (now - this.#lastLog >= 10_000 || state.done === state.total) {
      this.#output.write(`${this.#lastText}\n`);
      this.#lastLog = now;
    }
  }

  /** Leaves the line as it stands and moves on. */
  finish(): void {
    if (this.#drawn) this.#output.write('\n');
    this.#drawn = false;
    this.#task = '';
  }
}
