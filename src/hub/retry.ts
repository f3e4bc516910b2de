/** Owns how long to wait before asking again, and when to give up. */
import { toUserMessage } from '../config/errors.ts';

export interface RetryOptions {
  /** Milliseconds before the second try; doubles with each further one. */
  firstPause?: number;
  /** How often in a row something may fail; a person who waits for an answer hears sooner than a download gives up. */
  tries?: number;
  /** Told before each wait, with the seconds. */
  onWait?: (seconds: number, code: string) => void;
}

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;
/** The hub counts requests over five minutes. */
const LONGEST_ASKED = 300;
const MAX_TRIES = 6;

/** What may be tried again carries `seconds`, null where nobody said how long to wait. */
const isRetryable = (error: unknown): error is Error & { seconds: number | null } => error instanceof Error && 'seconds' in error;

/** Waits after the nth failure in a row (from 1); throws the failure itself where it will not pass. */
export async function pauseAfter(failure: unknown, n: number, options: RetryOptions, signal: AbortSignal): Promise<void> {
  if (signal.aborted || !isRetryable(failure) || n >= (options.tries ?? MAX_TRIES)) throw failure;
  const grown = Math.min(LONGEST_PAUSE, (options.firstPause ?? FIRST_PAUSE) * 2 ** (n - 1));
  const pause = failure.seconds === null ? grown : Math.min(LONGEST_ASKED, failure.seconds) * 1000;
  options.onWait?.(pause / 1000, toUserMessage(failure).code);
  await sleep(pause, signal);
}

export async function retrying<T>(attempt: () => Promise<T>, options: RetryOptions, signal: AbortSignal): Promise<T> {
  for (let n = 1; ; n++) {
    try {
      return await attempt();
    } catch (failure) {
      await pauseAfter(failure, n, options, signal);
    }
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      signal.removeEventListener('abort', stop);
      resolve();
    }
    function stop(): void {
      clearTimeout(timer);
      reject(signal.reason as Error);
    }
    signal.addEventListener('abort', stop, { once: true });
  });
}
