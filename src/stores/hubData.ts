/** A dataset of the hub before it is downloaded: asked for by name, looked at, a config and split chosen. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import type { HubDataset, HubSplit } from './types.ts';
import { failure, request } from './worker.ts';

interface HubDataState {
  /** Under way. */
  asking: string | null;
  found: HubDataset | null;
  error: UserMessage | null;
  config: string | null;
  split: string | null;
}

const NOTHING: HubDataState = { asking: null, found: null, error: null, config: null, split: null };

export const useHubData = create<HubDataState>(() => NOTHING);

let asking: AbortController | null = null;

/** Asks the hub; `wanted` are the config and split to begin with, where the repository has them. */
export async function lookAtDataset(name: string, wanted: { config?: string | undefined; split?: string | undefined } = {}): Promise<void> {
  asking?.abort();
  const controller = new AbortController();
  asking = controller;
  const [repo = '', revision] = name.trim().replace(/^https:\/\/huggingface\.co\/datasets\//, '').replace(/\/+$/, '').split('@', 2);
  useHubData.setState({ ...NOTHING, asking: repo });
  try {
    const found = await request('hub.inspectDataset', { repo, ...(revision ? { revision } : {}) }, { signal: controller.signal });
    if (asking !== controller) return;
    useHubData.setState({ asking: null, found });
    chooseConfig(wanted.config ?? null);
    chooseSplit(wanted.split ?? null);
  } catch (error) {
    if (asking === controller) useHubData.setState({ asking: null, error: failure(error) });
  }
}

/** Null, or a name that is not there, takes the first. */
export function chooseConfig(name: string | null): void {
  const { found } = useHubData.getState();
  const config = found?.configs.find((one) => one.name === name) ?? found?.configs[0];
  useHubData.setState({ config: config?.name ?? null, split: config?.splits[0]?.name ?? null });
}

export function chooseSplit(name: string | null): void {
  const { found, config } = useHubData.getState();
  const splits = found?.configs.find((one) => one.name === config)?.splits ?? [];
  useHubData.setState({ split: (splits.find((one) => one.name === name) ?? splits[0])?.name ?? null });
}

export const chosenSplit = ({ found, config, split }: HubDataState): HubSplit | null =>
  found?.configs.find((one) => one.name === config)?.splits.find((one) => one.name === split) ?? null;

export function closeHubData(): void {
  asking?.abort();
  asking = null;
  useHubData.setState(NOTHING);
}
