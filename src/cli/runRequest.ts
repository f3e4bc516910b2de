/** What a command-line run is about, as paths; both runtimes take it. */
import type { Recipe } from '../config/recipe.ts';
import type { HubOrigin } from '../data/types.ts';
import type { NodeGpuKind } from './nodeGpu.ts';

export interface ModelOnDisk {
  folder: string;
  name: string;
  /** Commit of a model of the hub. */
  revision?: string;
}

/** Files that become one dataset. */
export interface DataOnDisk {
  name: string;
  files: { name: string; path: string }[];
  /** A split of a dataset of the hub. */
  hub?: HubOrigin;
}

export interface RunRequest {
  model: 'builtin' | ModelOnDisk;
  data: 'builtin' | DataOnDisk;
  /** PEFT adapter folder to start from. */
  adapter: string | null;
  recipe: Recipe;
  device: NodeGpuKind;
}
