/// <reference lib="webworker" />
/** The worker's entry: messages in, the session's answers and events out. */
import { toUserMessage } from '../config/errors.ts';
import { builtinFromSite } from '../hub/builtin.ts';
import { HubModels } from '../hub/hubModels.ts';
import { OpfsDisk } from '../hub/opfsDisk.ts';
import type { FromWorker, ToWorker } from './protocol.ts';
import { Session } from './session/session.ts';

const scope = globalThis as unknown as DedicatedWorkerGlobalScope;
const send = (message: FromWorker): void => scope.postMessage(message);

// The client gives the page's address as the worker's name.
const pageUrl = scope.name;

const session = new Session({
  gpu: (navigator as Navigator & { gpu?: GPU }).gpu,
  loadBuiltin: builtinFromSite(new URL('builtin/', pageUrl).href),
  emit: (event) => send({ kind: 'event', event }),
  hub: new HubModels({ endpoint: ETUDE_HUB_ENDPOINT, disk: OpfsDisk.of(navigator) }),
  storage: navigator.storage,
  locks: navigator.locks,
  pageUrl,
});

const running = new Map<number, AbortController>();

scope.onmessage = ({ data }: MessageEvent<ToWorker>): void => {
  const { id, name, args } = data;
  if (name === 'cancel') running.get(args.requestId)?.abort();
  const abort = new AbortController();
  running.set(id, abort);
  session
    .handle(name, args, {
      signal: abort.signal,
      progress: (label, done, total, unit) => send({ kind: 'event', event: { type: 'progress', requestId: id, label, done, total, unit } }),
    })
    .then(
      (result) => send({ kind: 'result', id, result }),
      (error: unknown) => send({ kind: 'error', id, error: toUserMessage(error) }),
    )
    .finally(() => running.delete(id));
};
