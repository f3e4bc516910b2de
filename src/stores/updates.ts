/**
 * The page without a network, and new versions of it: a service worker keeps the build, and a newer build waits until a
 * person takes it. Nothing is replaced while a run goes on, in this tab or another.
 */
import { create } from 'zustand';
import { runIsLive, useRun } from './run.ts';

interface UpdateState {
  /** Every file of the page is kept; it opens without a network. */
  offlineReady: boolean;
  /** A newer version is here and waits for applyUpdate. */
  ready: boolean;
}

export const useUpdate = create<UpdateState>(() => ({ offlineReady: false, ready: false }));

/** Held by a tab while it trains (worker/session/runs.ts). */
const RUN_LOCK = 'etude-run-';

let waiting: ServiceWorker | null = null;

/** Call once, in a build. Where service workers are not to be had, the page works as before, with a network. */
export async function registerServiceWorker(): Promise<void> {
  const { serviceWorker } = navigator as { serviceWorker?: ServiceWorkerContainer };
  if (!serviceWorker) return;
  try {
    const registration = await serviceWorker.register('./sw.js', { updateViaCache: 'none' });
    const take = (worker: ServiceWorker | null): void => {
      if (!worker) return;
      const look = (): void => {
        if (worker.state === 'activated') useUpdate.setState({ offlineReady: true });
        // Without an active one before it, a worker that is installed becomes active by itself.
        if (worker.state !== 'installed' || !registration.active) return;
        waiting = worker;
        useUpdate.setState({ ready: true });
      };
      worker.addEventListener('statechange', look);
      look();
    };
    take(registration.active);
    take(registration.waiting);
    take(registration.installing);
    registration.addEventListener('updatefound', () => take(registration.installing));
  } catch {
    // A private window, or a host that does not serve sw.js.
  }
}

/** True while a run goes on here or in another tab of this browser. */
export async function runGoesOn(): Promise<boolean> {
  if (runIsLive(useRun.getState())) return true;
  const { held = [] } = (await globalThis.navigator?.locks?.query()) ?? {};
  return held.some(({ name }) => name?.startsWith(RUN_LOCK));
}

/** Puts the newer version in place and reloads. False, and nothing done, while a run goes on. */
export async function applyUpdate(): Promise<boolean> {
  const worker = waiting;
  if (!worker || await runGoesOn()) return false;
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
  worker.postMessage('etude.update');
  return true;
}
