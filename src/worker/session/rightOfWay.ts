/**
 * Owns who goes first in a session: what a person looks at or searches comes before passes over all rows that nobody waits for
 * with the finger on a key, such as the report. There is one thread: a search beside a report would take four times as long.
 */
export class RightOfWay {
  #busy = 0;
  readonly #waiting = new Set<() => void>();

  /** Does work that others give way to. It must not wait for one of them. */
  async first<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await work();
    } finally {
      if (--this.#busy === 0) for (const go of [...this.#waiting]) go();
    }
  }

  /** Resolves once nothing goes first; at once for a signal that aborts. */
  async giveWay(signal?: AbortSignal): Promise<void> {
    const isHeldUp = (): boolean => this.#busy > 0 && signal?.aborted !== true;
    while (isHeldUp()) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          signal?.removeEventListener('abort', go);
          this.#waiting.delete(go);
          resolve();
        };
        this.#waiting.add(go);
        signal?.addEventListener('abort', go);
      });
    }
  }

  /** The same rows, one by one, none while something goes first. */
  async *behind<Row>(rows: AsyncIterable<Row>, signal?: AbortSignal): AsyncGenerator<Row> {
    for await (const row of rows) {
      if (this.#busy > 0) await this.giveWay(signal);
      yield row;
    }
  }
}
