/** The one worker client that all stores talk through. */
import { EtudeError, toUserMessage, type UserMessage } from '../config/errors.ts';
import type { RequestOptions, WorkerClient } from '../worker/client.ts';
import type { RequestName, Requests } from '../worker/protocol.ts';

let client: WorkerClient | null = null;

export function setClient(next: WorkerClient): void {
  client = next;
}

export function request<N extends RequestName>(
  name: N, args: Requests[N]['args'], options?: RequestOptions,
): Promise<Requests[N]['result']> {
  if (!client) return Promise.reject(new EtudeError({ code: 'worker.missing', what: 'The page has not started its worker.' }));
  return client.request(name, args, options);
}

/** The message of a failed request; null when it was cancelled, which is no failure. */
export function failure(error: unknown): UserMessage | null {
  const message = toUserMessage(error);
  return message.code === 'cancelled' ? null : message;
}
