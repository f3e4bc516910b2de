/** What the graphics adapter and the browser's storage offer. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { readStored, writeStored } from './persist.ts';
import type { DeviceInfo, Requests } from './types.ts';
import { failure, request } from './worker.ts';

interface DeviceState {
  status: 'opening' | 'ready' | 'failed';
  info: DeviceInfo | null;
  error: UserMessage | null;
  storage: Requests['storage.info']['result'] | null;
  noticeDismissed: boolean;
}

export const useDevice = create<DeviceState>(() => ({
  status: 'opening', info: null, error: null, storage: null, noticeDismissed: readStored('softwareNotice') === 'dismissed',
}));

/** Opens the adapter, then measures it; the first answer is shown at once. */
export async function openDevice(): Promise<void> {
  useDevice.setState({ status: 'opening', error: null });
  try {
    useDevice.setState({ status: 'ready', info: await request('device.open', {}) });
  } catch (error) {
    useDevice.setState({ status: 'failed', info: null, error: failure(error) });
    return;
  }
  try {
    useDevice.setState({ info: await request('device.open', { measure: true }) });
  } catch {
    // The speed stays unknown; everything else works.
  }
}

/** While the page is hidden, pieces of GPU work may be longer. */
export async function setWatched(watched: boolean): Promise<void> {
  await request('page.watched', { watched }).catch(() => null);
}

export async function refreshStorage(): Promise<void> {
  try {
    useDevice.setState({ storage: await request('storage.info', {}) });
  } catch {
    useDevice.setState({ storage: null });
  }
}

export function deviceFailed(error: UserMessage): void {
  useDevice.setState({ status: 'failed', error });
}

export function dismissNotice(): void {
  writeStored('softwareNotice', 'dismissed');
  useDevice.setState({ noticeDismissed: true });
}
