/**
 * Lets a software adapter have the processor. Dawn in Node asks for finished work as fast as the event loop turns, which keeps a core
 * busy that SwiftShader and lavapipe compute on: on two cores their work takes 1.4 times as long. While a promise of the GPU is awaited and
 * nothing comes of it, this sleeps between two turns. Refuses to know what is awaited.
 */

/** Milliseconds of one sleep at most: what a finished promise, a file or a socket may have to wait. */
const LONGEST = 1;
/** A sleep is this part of the time waited so far, so that short work is not answered late. */
const PART = 1 / 4;
const SHORTEST = 0.02;

const neverNotified = new Int32Array(new SharedArrayBuffer(4));
let awaited = 0;
let since = 0;
let isTurning = false;

function turn(): void {
  if (awaited === 0) {
    isTurning = false;
    return;
  }
  const sleep = Math.min(LONGEST, (performance.now() - since) * PART);
  if (sleep >= SHORTEST) Atomics.wait(neverNotified, 0, 0, sleep);
  setImmediate(turn);
}

function watch<T>(promise: Promise<T>): Promise<T> {
  awaited++;
  since = performance.now();
  if (!isTurning) {
    isTurning = true;
    setImmediate(turn);
  }
  const settled = (): void => {
    awaited--;
    since = performance.now();
  };
  promise.then(settled, settled);
  return promise;
}

type Waits = Record<string, (...args: never[]) => Promise<unknown>>;

function sleepIn(prototype: object, names: readonly string[]): void {
  for (const name of names) {
    const original = (prototype as Waits)[name]!;
    Object.defineProperty(prototype, name, {
      configurable: true, writable: true,
      value(this: object, ...args: never[]) { return watch(original.apply(this, args)); },
    });
  }
}

let isInstalled = false;

/** From now on, whatever waits for Dawn sleeps. Call once its globals are there. */
export function sleepWhileGpuWorks(): void {
  if (isInstalled) return;
  isInstalled = true;
  sleepIn(GPUBuffer.prototype, ['mapAsync']);
  sleepIn(GPUQueue.prototype, ['onSubmittedWorkDone']);
  sleepIn(GPUDevice.prototype, ['createComputePipelineAsync', 'popErrorScope']);
}
