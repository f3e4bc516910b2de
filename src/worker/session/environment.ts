/** Owns what a session needs from outside: the same in a worker, in a page without a worker and in Node. */
import type { BuiltinLoader } from '../../hub/builtin.ts';
import type { HubModels } from '../../hub/hubModels.ts';
import type { WorkerEvent } from '../protocol.ts';

export interface SessionEnvironment {
  /** Undefined where there is no WebGPU. */
  gpu: GPU | undefined;
  loadBuiltin: BuiltinLoader;
  /** The hub and what is cached of it; undefined where neither is wanted. */
  hub?: HubModels;
  emit: (event: WorkerEvent) => void;
  /** navigator.storage, where there is one. */
  storage?: { estimate(): Promise<StorageEstimate>; persisted(): Promise<boolean> };
  /** navigator.locks: keeps two tabs from writing one run. */
  locks?: LockManager;
  /** Address of the page, for share links in exports; null without a page. */
  pageUrl: string | null;
  /** Name of the database; tests use their own. */
  database?: string;
}

/** What every request handler gets beside its arguments. */
export interface RequestContext {
  signal: AbortSignal;
  progress(label: string, done: number, total: number | null, unit: 'bytes' | 'rows' | 'tensors'): void;
}
