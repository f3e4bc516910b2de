/** Which base model is chosen and loaded. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import type { Quantization } from '../config/recipe.ts';
import { askToPersist, listCached } from './hub.ts';
import type { ModelSource, ModelSummary, Progress } from './types.ts';
import { failure, request } from './worker.ts';

export interface ModelFolder { name: string; files: File[] }
/** A model of the hub; without a revision, main. */
export interface HubChoice { repo: string; revision?: string }

interface ModelState {
  choice: 'builtin' | 'folder' | 'hub';
  folder: ModelFolder | null;
  hub: HubChoice | null;
  /** How the weights are to lie on the GPU: as stored, or shrunk while they load. */
  quantization: Quantization;
  status: 'idle' | 'loading' | 'ready' | 'failed';
  summary: ModelSummary | null;
  progress: Progress | null;
  startedAt: number;
  error: UserMessage | null;
}

export const useModel = create<ModelState>(() => ({
  choice: 'builtin', folder: null, hub: null, quantization: 'none', status: 'idle', summary: null, progress: null, startedAt: 0, error: null,
}));

let loading: AbortController | null = null;

export const setQuantization = (quantization: Quantization): void => useModel.setState({ quantization, error: null });

export const chooseModel = (choice: ModelState['choice']): void => useModel.setState({ choice });

export const setFolder = (folder: ModelFolder): void => useModel.setState({ choice: 'folder', folder, error: null });

/** Chooses a model of the hub; nothing is asked for or downloaded before loadModel. */
export const chooseHub = (hub: HubChoice): void => useModel.setState({ choice: 'hub', hub, error: null });

function chosenSource(): ModelSource | null {
  const { choice, folder, hub } = useModel.getState();
  if (choice === 'builtin') return { kind: 'builtin' };
  if (choice === 'hub') return hub && { kind: 'hub', ...hub };
  return folder && { kind: 'folder', ...folder };
}

/** Loads what is chosen, downloading what is not cached of a model of the hub; a failed or cancelled load leaves the model that was there. */
export async function loadModel(): Promise<void> {
  const source = chosenSource();
  if (!source) return;
  // The built-in model is small enough as it is.
  const quantization = source.kind === 'builtin' ? 'none' : useModel.getState().quantization;
  if (source.kind === 'hub') void askToPersist();
  loading?.abort();
  const controller = new AbortController();
  loading = controller;
  useModel.setState({ status: 'loading', progress: null, error: null, startedAt: Date.now() });
  try {
    const summary = await request('model.load', { source, quantization }, {
      signal: controller.signal,
      onProgress: (progress) => { if (loading === controller) useModel.setState({ progress }); },
    });
    if (loading === controller) useModel.setState({ status: 'ready', summary, progress: null });
  } catch (error) {
    if (loading !== controller) return;
    const message = failure(error);
    useModel.setState((s) => ({ status: s.summary ? 'ready' : message ? 'failed' : 'idle', progress: null, error: message }));
  } finally {
    if (source.kind === 'hub') void listCached();
  }
}

export function cancelLoad(): void {
  loading?.abort();
}

/** The model made room for the one that is being loaded. */
export const modelUnloaded = (): void => useModel.setState({ summary: null });

/** The worker or the device is gone, and the weights with it. */
export function modelLost(error: UserMessage): void {
  loading = null;
  if (useModel.getState().status !== 'idle') useModel.setState({ status: 'failed', summary: null, progress: null, error });
}
