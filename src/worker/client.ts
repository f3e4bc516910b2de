/**
 * The page's end of the worker protocol: requests by id, events, cancel, and what happens when the worker dies.
 * Refuses to know what any request means.
 */
import { EtudeError, type UserMessage } from '../config/errors.ts';
import type { FromWorker, RequestName, Requests, ToWorker, WorkerEvent } from './protocol.ts';

/** The part of Worker that is used: a test may stand in. */
export interface WorkerLike {
  postMessage(message: ToWorker): void;
  terminate(): void;
  onmessage: ((event: MessageEvent) => void) | null;
  onmessageerror: ((event: MessageEvent) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

export type Progress = Omit<Extract<WorkerEvent, { type: 'progress' }>, 'type' | 'requestId'>;

export interface RequestOptions {
  onProgress?: (progress: Progress) => void;
  /** Aborting rejects at once with code 'cancelled' and asks the worker to stop. */
  signal?: AbortSignal;
}

interface Pending {
  resolve: (result: unknown) => void;
  reject: (error: EtudeError) => void;
  onProgress?: (progress: Progress) => void;
}

export const CANCELLED: UserMessage = { code: 'cancelled', what: 'Cancelled.' };

const crashMessage = (detail: string): UserMessage => ({
  code: 'worker.crashed',
  what: `The part of Etude that computes has stopped${detail ? `: ${detail}` : '.'}`,
  expected: 'It runs as long as this page is open.',
  likelyCause: 'The tab ran out of memory, or the graphics driver was reset.',
  nextStep: 'Load the model again. Data, runs and checkpoints are kept.',
});

// The worker cannot know the page's address, which is where the built-in files are: it is told by its name.
const defaultWorker = (): WorkerLike => new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: new URL('.', location.href).href });

export class WorkerClient {
  readonly #make: () => WorkerLike;
  #worker: WorkerLike | null = null;
  #nextId = 1;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: WorkerEvent) => void>();
  readonly #crashListeners = new Set<(message: UserMessage) => void>();

  constructor(make: () => WorkerLike = defaultWorker) {
    this.#make = make;
  }

  /** Sends a request; rejects with an EtudeError only. The first request after a crash starts a new worker. */
  request<N extends RequestName>(name: N, args: Requests[N]['args'], options: RequestOptions = {}): Promise<Requests[N]['result']> {
    const id = this.#nextId++;
    const { signal, onProgress } = options;
    return new Promise<Requests[N]['result']>((resolve, reject) => {
      if (signal?.aborted) return reject(new EtudeError(CANCELLED));
      const settle = () => {
        this.#pending.delete(id);
        signal?.removeEventListener('abort', abort);
      };
      const abort = () => {
        settle();
        reject(new EtudeError(CANCELLED));
        void this.request('cancel', { requestId: id }).catch(() => undefined);
      };
      this.#pending.set(id, {
        resolve: (result) => { settle(); resolve(result as Requests[N]['result']); },
        reject: (error) => { settle(); reject(error); },
        ...(onProgress ? { onProgress } : {}),
      });
      signal?.addEventListener('abort', abort, { once: true });
      try {
        this.#open().postMessage({ id, name, args } as ToWorker);
      } catch (error) {
        this.#pending.get(id)?.reject(new EtudeError(crashMessage(error instanceof Error ? error.message : String(error))));
      }
    });
  }

  /** Every event but progress, which goes to its request. Returns the way to stop listening. */
  onEvent(listener: (event: WorkerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onCrash(listener: (message: UserMessage) => void): () => void {
    this.#crashListeners.add(listener);
    return () => this.#crashListeners.delete(listener);
  }

  /** Stops the worker; whatever was asked is rejected as cancelled. */
  terminate(): void {
    this.#worker?.terminate();
    this.#worker = null;
    for (const pending of [...this.#pending.values()]) pending.reject(new EtudeError(CANCELLED));
  }

  #open(): WorkerLike {
    if (this.#worker) return this.#worker;
    const worker = this.#make();
    worker.onmessage = (event: MessageEvent) => this.#receive(event.data as FromWorker);
    worker.onmessageerror = () => this.#crash(worker, 'a message could not be read');
    worker.onerror = (event: ErrorEvent) => {
      event.preventDefault();
      this.#crash(worker, event.message ?? '');
    };
    this.#worker = worker;
    return worker;
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'event') {
      const { event } = message;
      if (event.type === 'progress') {
        const { label, done, total, unit } = event;
        this.#pending.get(event.requestId)?.onProgress?.({ label, done, total, unit });
      } else {
        for (const listener of this.#listeners) listener(event);
      }
      return;
    }
    const pending = this.#pending.get(message.id);
    if (message.kind === 'result') pending?.resolve(message.result);
    else pending?.reject(new EtudeError(message.error));
  }

  #crash(worker: WorkerLike, detail: string): void {
    if (worker !== this.#worker) return;
    this.#worker = null;
    worker.terminate();
    const message = crashMessage(detail);
    for (const pending of [...this.#pending.values()]) pending.reject(new EtudeError(message));
    for (const listener of this.#crashListeners) listener(message);
  }
}
