/**
 * Owns which rows an epoch draws where groups of rows are balanced. Each group is an endless row of shuffled passes over
 * its rows, of which every epoch takes the next piece: all rows of a group are seen before any is seen again, in small
 * groups and in capped ones, and an epoch is made from its number alone. Refuses to know what the groups are.
 */
import { draw, permutation, STREAMS } from './random.ts';

export interface BalancedGroup {
  name: string;
  /** Rows by dataset index, in file order. */
  rows: Int32Array;
  /** Rows of it an epoch draws. */
  perEpoch: number;
}

export interface BalanceOptions {
  seed: number;
  /** False takes rows in the order of the file. */
  shuffle: boolean;
  /** Every epoch draws what the first draws. */
  fixed: boolean;
}

export class BalancedRows {
  readonly groups: readonly BalancedGroup[];
  readonly rowsPerEpoch: number;
  readonly #options: BalanceOptions;

  constructor(groups: readonly BalancedGroup[], options: BalanceOptions) {
    this.groups = groups;
    this.rowsPerEpoch = groups.reduce((sum, { rows, perEpoch }) => sum + (rows.length === 0 ? 0 : perEpoch), 0);
    this.#options = options;
  }

  /** Dataset rows of an epoch, a row as often as it is drawn, in file order. */
  epoch(epoch: number): Int32Array {
    const drawn = new Int32Array(this.rowsPerEpoch);
    const at = this.#options.fixed ? 0 : epoch;
    let filled = 0;
    for (const [g, { rows, perEpoch }] of this.groups.entries()) {
      if (rows.length === 0) continue;
      for (let taken = 0; taken < perEpoch;) {
        const place = at * perEpoch + taken;
        const pass = this.#pass(g, Math.floor(place / rows.length));
        for (let k = place % rows.length; k < rows.length && taken < perEpoch; k++, taken++) drawn[filled++] = rows[pass[k]!]!;
      }
    }
    return drawn.sort();
  }

  /** How often each dataset row is drawn in the first `epochs` epochs; -1 for rows of no group. @param numRows of the dataset */
  timesDrawn(epochs: number, numRows: number): Int32Array {
    const times = new Int32Array(numRows).fill(-1);
    const distinct = this.#options.fixed ? 1 : epochs;
    for (const [g, { rows, perEpoch }] of this.groups.entries()) {
      if (rows.length === 0) continue;
      const whole = Math.floor((distinct * perEpoch) / rows.length);
      const rest = (distinct * perEpoch) % rows.length;
      this.#pass(g, whole).forEach((of, k) => void (times[rows[of]!] = (whole + (k < rest ? 1 : 0)) * (epochs / distinct)));
    }
    return times;
  }

  /** Most times that one row can be in one epoch, by group: a piece may end one pass and begin the next. */
  mostInEpoch(g: number): number {
    const { rows, perEpoch } = this.groups[g]!;
    return Math.ceil(perEpoch / rows.length) + (perEpoch % rows.length === 0 ? 0 : 1);
  }

  /** The order of one pass over a group. */
  #pass(g: number, pass: number): Int32Array {
    const n = this.groups[g]!.rows.length;
    const { seed, shuffle } = this.#options;
    return shuffle ? permutation(n, draw(seed, STREAMS.balance, g), pass) : Int32Array.from({ length: n }, (_, i) => i);
  }
}
