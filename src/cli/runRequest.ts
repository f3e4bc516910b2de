/** What a command-line run is about, as paths; both runtimes take it. */
import type { Recipe } from '../config/recipe.ts';
import type { NodeGpuKind } from './nodeGpu.ts';

export interface ModelOnDisk {
  folder: string;
  name: string;
  /** Commit of a model of the hub. */
  revision?: string;
}

export interface RunRequest {
  model: 'builtin' | ModelOnDisk;
  /** File, or 'builtin'. */
  data: string;
  /** PEFT adapter folder to start from. */
  adapter: string | null;
  recipe: Recipe;
  device: NodeGpuKind;
}
