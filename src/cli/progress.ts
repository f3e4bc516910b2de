/** A progress line for the terminal: redrawn in place on a screen, a line now and then in a log file. */

export interface ProgressState {
  label: string;
  done: number;
  /** null while unknown. */
  total: number | null;
  /** What stands behind the bar, e.g. 'loss 2.31'. */
  note?: string;
}

/** '59 s', '4:07 min', '1:02:09 h'. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)} min`;
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)} h`;
}

/** One line of text, never wider than `columns`. */
export function renderProgress(state: ProgressState, elapsedSeconds: number, columns = 100): string {
  const { label, done, total, note } = state;
  const parts = [label];
  if (total !== null && total > 0) {
    const share = Math.min(1, Math.max(0, done / total));
    const filled = Math.round(share * 24);
    parts.push(`[${'#'.repeat(filled)}${'.'.repeat(24 - filled)}]`, `${done}/${total}`);
    if (note !== undefined) parts.push(note);
    if (share > 0 && share < 1) parts.push(`${formatDuration((elapsedSeconds / share) * (1 - share))} left`);
  } else {
    parts.push(String(done));
    if (note !== undefined) parts.push(note);
  }
  return parts.join('  ').slice(0, Math.max(1, columns - 1));
}

interface Output { write(text: string): unknown; isTTY?: boolean; columns?: number }

/** Draws to `output`, by default stderr so that stdout stays for results. */
export class ProgressBar {
  #output: Output;
  #now: () => number;
  #label = '';
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
    if (state.label !== this.#label) {
      this.finish();
      this.#label = state.label;
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
    this.#label = '';
  }
}
