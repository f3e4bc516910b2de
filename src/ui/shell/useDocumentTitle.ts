/** "152/180 · 0:33 · Etude" while a run trains, so that a background tab tells how far it is. */
import { useEffect } from 'react';
import { useRun } from '../../stores/run.ts';
import { formatClock } from '../format.ts';

export function useDocumentTitle(): void {
  const status = useRun((s) => s.status);
  const step = useRun((s) => s.readouts.step);
  const total = useRun((s) => s.totalSteps);
  const left = useRun((s) => s.readouts.left);
  useEffect(() => {
    if (status === 'running') document.title = `${step}/${total} · ${left === null ? 'training' : formatClock(left)} · Etude`;
    else if (status === 'paused') document.title = `${step}/${total} · paused · Etude`;
    else if (status === 'finished' && step > 0) document.title = `Done, ${step} steps · Etude`;
    else document.title = 'Etude';
  }, [status, step, total, left]);
}
