import { useModel } from '../../stores/model.ts';
import { useRun } from '../../stores/run.ts';

/** Why a prompt cannot run now; null when it can. */
export function useTryBlocker(): string | null {
  const status = useRun((s) => s.status);
  const ready = useModel((s) => s.status === 'ready');
  if (!ready) return 'Load a model first';
  if (status === 'running' || status === 'starting') return 'The model is training. Pause it to try it.';
  return null;
}
