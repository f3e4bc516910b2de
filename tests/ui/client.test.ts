import { expect, test, vi } from 'vitest';
import type { EtudeError, UserMessage } from '../../src/config/errors.ts';
import { WorkerClient, type Progress, type WorkerLike } from '../../src/worker/client.ts';
import type { FromWorker, ToWorker, WorkerEvent } from '../../src/worker/protocol.ts';

/** A worker in the test's hands. */
class HandWorker implements WorkerLike {
  sent: ToWorker[] = [];
  terminated = false;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onmessageerror: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  refuse: Error | null = null;
  postMessage(message: ToWorker): void {
    if (this.refuse) throw this.refuse;
    this.sent.push(message);
  }
  terminate(): void { this.terminated = true; }
  say(data: FromWorker): void { this.onmessage?.({ data } as MessageEvent); }
  die(message: string): void { this.onerror?.({ message, preventDefault: () => undefined } as unknown as ErrorEvent); }
}

function make() {
  const workers: HandWorker[] = [];
  const client = new WorkerClient(() => { const w = new HandWorker(); workers.push(w); return w; });
  return { client, workers };
}

const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'no error', (error: EtudeError) => error.code);

test('no worker starts before the first request', () => {
  expect(make().workers).toHaveLength(0);
});

test('answers find their requests by id, in whatever order they come', async () => {
  const { client, workers } = make();
  const first = client.request('runs.list', {});
  const second = client.request('storage.info', {});
  const [a, b] = workers[0]!.sent;
  workers[0]!.say({ kind: 'result', id: b!.id, result: { usage: 1, quota: 2, persisted: true } });
  workers[0]!.say({ kind: 'result', id: a!.id, result: [] });
  expect(await first).toEqual([]);
  expect(await second).toEqual({ usage: 1, quota: 2, persisted: true });
});

test('an error keeps its code and words', async () => {
  const { client, workers } = make();
  const request = client.request('data.list', {});
  workers[0]!.say({ kind: 'error', id: workers[0]!.sent[0]!.id, error: { code: 'storage.blocked', what: 'Blocked.' } });
  await expect(request).rejects.toMatchObject({ code: 'storage.blocked', message: 'Blocked.' });
});

test('progress goes to its request only, other events to all listeners', async () => {
  const { client, workers } = make();
  const mine = vi.fn<(progress: Progress) => void>();
  const others = vi.fn<(progress: Progress) => void>();
  const events = vi.fn<(event: WorkerEvent) => void>();
  client.onEvent(events);
  void client.request('data.import', { source: { kind: 'builtin' } }, { onProgress: mine });
  void client.request('data.list', {}, { onProgress: others });
  const { id } = workers[0]!.sent[0]!;
  workers[0]!.say({ kind: 'event', event: { type: 'progress', requestId: id, label: '', done: 5, total: 10, unit: 'rows' } });
  workers[0]!.say({ kind: 'event', event: { type: 'train.checkpoint', runId: 'a', step: 3 } });
  expect(mine).toHaveBeenCalledExactlyOnceWith({ label: '', done: 5, total: 10, unit: 'rows' });
  expect(others).not.toHaveBeenCalled();
  expect(events).toHaveBeenCalledExactlyOnceWith({ type: 'train.checkpoint', runId: 'a', step: 3 });
});

test('a listener that left hears no more', () => {
  const { client, workers } = make();
  const events = vi.fn<(event: WorkerEvent) => void>();
  const leave = client.onEvent(events);
  void client.request('data.list', {});
  leave();
  workers[0]!.say({ kind: 'event', event: { type: 'train.checkpoint', runId: 'a', step: 3 } });
  expect(events).not.toHaveBeenCalled();
});

test('aborting rejects at once, tells the worker, and a late answer changes nothing', async () => {
  const { client, workers } = make();
  const controller = new AbortController();
  const request = client.request('model.load', { source: { kind: 'builtin' } }, { signal: controller.signal });
  controller.abort();
  expect(await codeOf(request)).toBe('cancelled');
  const [load, cancel] = workers[0]!.sent;
  expect(cancel).toMatchObject({ name: 'cancel', args: { requestId: load!.id } });
  workers[0]!.say({ kind: 'result', id: load!.id, result: {} });
});

test('a request that was aborted before it began is never sent', async () => {
  const { client, workers } = make();
  expect(await codeOf(client.request('data.list', {}, { signal: AbortSignal.abort() }))).toBe('cancelled');
  expect(workers).toHaveLength(0);
});

test('when the worker dies every open request says so, listeners hear it once, and the next request starts a new worker', async () => {
  const { client, workers } = make();
  const crashed = vi.fn<(message: UserMessage) => void>();
  client.onCrash(crashed);
  const open = [codeOf(client.request('data.list', {})), codeOf(client.request('runs.list', {}))];
  workers[0]!.die('out of memory');
  expect(await Promise.all(open)).toEqual(['worker.crashed', 'worker.crashed']);
  expect(crashed).toHaveBeenCalledOnce();
  expect(crashed.mock.calls[0]![0].what).toContain('out of memory');
  expect(workers[0]!.terminated).toBe(true);
  void client.request('data.list', {});
  expect(workers).toHaveLength(2);
});

test('the dead worker’s last words do not kill its successor', async () => {
  const { client, workers } = make();
  void codeOf(client.request('data.list', {}));
  workers[0]!.die('first');
  const next = client.request('data.list', {});
  workers[0]!.die('again');
  workers[1]!.say({ kind: 'result', id: workers[1]!.sent[0]!.id, result: [] });
  expect(await next).toEqual([]);
});

test('a message that cannot be sent is an error of its request, not an exception', async () => {
  const { client, workers } = make();
  void client.request('data.list', {});
  workers[0]!.refuse = new Error('could not be cloned');
  await expect(client.request('runs.list', {})).rejects.toMatchObject({ code: 'worker.crashed' });
});

test('terminating cancels what is open', async () => {
  const { client, workers } = make();
  const open = codeOf(client.request('data.list', {}));
  client.terminate();
  expect(await open).toBe('cancelled');
  expect(workers[0]!.terminated).toBe(true);
});
