/** Step 4: the run as it trains, and what it left behind. */
import { Button } from '@mantine/core';
import { useCallback } from 'react';
import { countSteps } from '../../config/forecast.ts';
import { usePlan } from '../../stores/plan.ts';
import { runIsLive, useRun } from '../../stores/run.ts';
import { goTo } from '../../stores/session.ts';
import { continueTraining, pauseTraining, resumeTraining, startTraining, stopTraining, togglePause } from '../../stores/training.ts';
import type { RunSummary } from '../../stores/types.ts';
import { EmptyState } from '../components/EmptyState.tsx';
import { remediesIn } from '../../stores/remedies.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { ScreenHead } from '../components/ScreenHead.tsx';
import { formatCount, formatRate, formatRateShort, formatSig, formatTimeOfDay, plural } from '../format.ts';
import { useStartBlocker } from '../home/TrainColumn.tsx';
import { modelTitle, STATUS_NAMES } from '../names.ts';
import { useSingleKeys } from '../shell/useShortcuts.ts';
import { Alerts } from './Alerts.tsx';
import { Answers } from './Answers.tsx';
import { PauseIcon, PlayIcon, StopIcon } from './icons.tsx';
import { LossChart } from './LossChart.tsx';
import { Readouts } from './Readouts.tsx';
import { SmallChart } from './SmallChart.tsx';
import classes from './Train.module.css';

function Actions() {
  const { status, run, asked } = useRun();
  const blocker = useStartBlocker();
  if (status === 'running' || status === 'paused' || status === 'starting') {
    return (
      <>
        {status === 'paused'
          ? <Button leftSection={<PlayIcon />} onClick={() => void continueTraining()} data-testid="continue-training">Resume</Button>
          : <Button leftSection={<PauseIcon />} disabled={status === 'starting' || asked !== null} onClick={() => void pauseTraining()} data-testid="pause-training">{asked === 'pause' ? 'Pausing' : 'Pause'}</Button>}
        <Button leftSection={<StopIcon />} disabled={status === 'starting' || asked === 'stop'} onClick={() => void stopTraining()} data-testid="stop-training">{asked === 'stop' ? 'Stopping' : 'Stop'}</Button>
      </>
    );
  }
  return (
    <>
      {run?.resumable && status !== 'finished' && <Button onClick={() => void resumeTraining(run)} data-testid="resume-run">Resume from step {formatCount(run.step)}</Button>}
      {status !== 'idle' && <Button disabled={blocker !== null} onClick={() => void startTraining()} data-testid="start-training">Train again</Button>}
      {(status === 'finished' || status === 'stopped') && <Button variant="filled" onClick={() => goTo('try')} data-testid="continue-try">Continue to Try</Button>}
    </>
  );
}

function factsOf(run: RunSummary | null, rows: number | null): string {
  if (!run) return 'Preparing the run.';
  const when = run.status === 'running' || run.status === 'paused' ? `started ${formatTimeOfDay(run.createdAt)}` : STATUS_NAMES[run.status].toLowerCase();
  return [modelTitle(run.model), plural(rows ?? run.dataset.rows, 'row'), `LoRA rank ${run.recipe.lora.r}`, when].join(' · ');
}

/** Steps of one pass, from the rows of the forecast where it is of this run, else from what the run itself tells. */
function useStepsPerEpoch(): number | null {
  const run = useRun((s) => s.run);
  const step = useRun((s) => s.readouts.step);
  const epoch = useRun((s) => s.readouts.epoch);
  const forecast = usePlan((s) => s.forecast.value);
  const total = useRun((s) => s.totalSteps);
  if (!run) return null;
  if (forecast && forecast.steps === total) return forecast.stepsPerEpoch;
  const { training } = run.recipe;
  if (training.maxSteps === 0 && !training.packing && training.validationSplit === 0) return countSteps(run.dataset.rows, training).stepsPerEpoch;
  return epoch > 0 ? Math.max(1, Math.round(step / epoch)) : null;
}

function Charts() {
  const charts = useRun((s) => s.charts);
  const totalSteps = useRun((s) => s.totalSteps);
  const r = useRun((s) => s.readouts);
  const clip = useRun((s) => s.run?.recipe.training.maxGradNorm ?? 0);
  const stepsPerEpoch = useStepsPerEpoch();
  return (
    <div className={classes.charts}>
      <LossChart charts={charts} totalSteps={totalSteps} step={r.step} stepsPerEpoch={stepsPerEpoch} />
      <div className={classes.small}>
        <SmallChart
          title="Learning rate" series={charts.learningRate} totalSteps={totalSteps} aside={formatRate(r.learningRate)} colour="var(--etude-accent)"
          format={formatRate} formatTick={formatRateShort} testId="rate-chart"
        />
        <SmallChart
          title="Gradient norm" series={charts.gradNorm} totalSteps={totalSteps} colour="var(--etude-aux)" width={1.25} limit={clip || null}
          aside={`${formatSig(r.gradNorm)}${clip ? `, clipped at ${formatSig(clip)}` : ''}`} format={formatSig} formatTick={(v) => v.toFixed(1)} testId="norm-chart"
        />
      </div>
    </div>
  );
}

function Empty() {
  const blocker = useStartBlocker();
  return (
    <EmptyState
      title="No run yet"
      action={blocker ? { label: 'Go to Model', onClick: () => goTo('model') } : { label: 'Start training', onClick: () => void startTraining() }}
    >
      {blocker ? `${blocker}. Then the loss, the speed and the answers as they change are shown here.` : 'The loss, the speed and the answers as they change are shown here.'}
    </EmptyState>
  );
}

export default function TrainScreen() {
  const { status, run, error } = useRun();
  const live = useRun(runIsLive);
  const rows = usePlan((s) => s.forecast.value?.trainingRows ?? null);
  useSingleKeys(useCallback((key) => {
    if (key !== 'p' && key !== 'P') return false;
    togglePause();
    return true;
  }, []));
  const nothing = status === 'idle' && !run;
  return (
    <>
      <ScreenHead title="Training" facts={nothing ? 'Nothing is training.' : factsOf(run, live ? rows : null)} actions={nothing ? undefined : <Actions />} />
      {error && (
        <div className={classes.block}>
          <ErrorPanel error={error} remedies={error.code === 'device.outOfMemory' ? remediesIn(error.nextStep ?? '') : []} action={error.code === 'run.modelMissing' ? { onClick: () => goTo('model') } : run?.resumable && !live ? { label: `Go on from step ${formatCount(run.step)}`, onClick: () => void resumeTraining(run) } : undefined} />
        </div>
      )}
      {nothing ? <Empty /> : (
        <>
          <Readouts />
          <Charts />
          <Alerts />
          <Answers />
        </>
      )}
    </>
  );
}
