/** Six numbers in large type; they change at most four times a second. */
import { Progress } from '@mantine/core';
import type { ReactNode } from 'react';
import { useRun } from '../../stores/run.ts';
import { formatClock, formatCount, formatLoss, formatSig } from '../format.ts';
import classes from './Train.module.css';

const Readout = ({ name, value, unit, testId }: { name: string; value: ReactNode; unit?: ReactNode; testId: string }) => (
  <div className={classes.readout}><dt>{name}</dt><dd data-testid={testId}>{value}{unit && <span className={classes.unit}> {unit}</span>}</dd></div>
);

export function Readouts() {
  const r = useRun((s) => s.readouts);
  const total = useRun((s) => s.totalSteps);
  const over = useRun((s) => s.status === 'finished' || s.status === 'stopped' || s.status === 'failed');
  return (
    <>
      <Progress value={total ? (100 * r.step) / total : 0} aria-label={`Step ${r.step} of ${total}`} className={classes.progress} />
      <dl className={classes.readouts}>
        <Readout name="Step" value={formatCount(r.step)} unit={total ? `of ${formatCount(total)}` : undefined} testId="readout-step" />
        <Readout name="Training loss" value={formatLoss(r.smoothed)} testId="readout-loss" />
        <Readout name="Validation loss" value={formatLoss(r.evalLoss)} testId="readout-eval" />
        <Readout name="Speed" value={formatSig(r.tokensPerSecond)} unit={r.tokensPerSecond === null ? undefined : 'tokens/s'} testId="readout-speed" />
        <Readout name="Elapsed" value={formatClock(r.elapsed)} testId="readout-elapsed" />
        <Readout name="Time left" value={over ? formatClock(0) : formatClock(r.left)} testId="readout-left" />
      </dl>
    </>
  );
}
