/** Asks what each token costs the model, and says what the colours mean. */
import { Button, SegmentedControl } from '@mantine/core';
import { useEffect, useMemo } from 'react';
import type { InspectTarget } from '../../stores/inspect.ts';
import { runIsLive, useRun } from '../../stores/run.ts';
import { askLosses, setLossView, showLosses, useTokenLoss, type LossView } from '../../stores/tokenLoss.ts';
import { useTuned } from '../../stores/tuned.ts';
import type { InspectedRow } from '../../stores/types.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { DIFFERENCE_WORDS, LOSS_WORDS, meanSentence, type ShownLosses } from './heat.ts';
import classes from './Mask.module.css';

const VIEWS = [{ value: 'both', label: 'Both' }, { value: 'base', label: 'Base' }, { value: 'tuned', label: 'Tuned' }, { value: 'difference', label: 'Difference' }];

/** The losses of this row, once they are there and while they are wanted: one heat map, or base and tuned beside each other. */
export function useShownLosses(row: InspectedRow): ShownLosses[] {
  const { on, of, view, base, tuned } = useTokenLoss();
  return useMemo(() => {
    if (!on || of !== row || !base) return [];
    const views = tuned === null ? ['base'] as const : view === 'both' ? ['base', 'tuned'] as const : [view];
    return views.map((v) => ({ view: v, base, tuned }));
  }, [on, of, row, view, base, tuned]);
}

function Legend({ difference }: { difference: boolean }) {
  const steps = difference
    ? DIFFERENCE_WORDS.map(([step, words]) => ({ step, words, scale: 'difference' }))
    : LOSS_WORDS.map((words, step) => ({ step, words, scale: 'loss' }));
  return (
    <div className={classes.heatKey}>
      <p>{difference ? 'Loss after training against before' : 'Probability the model gave the token'}</p>
      <ul className={classes.legend} aria-label="Key of the colours">
        {steps.map(({ step, words, scale }) => <li key={step}><span data-heat={step} data-scale={scale} />{words}</li>)}
      </ul>
    </div>
  );
}

export function LossPanel({ row, target }: { row: InspectedRow; target: InspectTarget }) {
  const { on, busy, error, of } = useTokenLoss();
  const view = useTokenLoss((s) => s.view);
  const [shown] = useShownLosses(row);
  const tuned = useTuned((s) => s.tuned !== null);
  const version = useTuned((s) => s.version);
  const live = useRun(runIsLive);
  // The adapter of a new version is another one; while a run changes it, nothing is asked.
  useEffect(() => { if (on && !live) void askLosses(target, row, tuned); }, [on, live, target, row, tuned, version]);
  return (
    <div className={classes.loss} data-testid="loss-panel">
      <div className={classes.lossHead}>
        <Button size="xs" onClick={() => showLosses(!on)} disabled={live && !on} aria-pressed={on} data-testid="show-loss">{on ? 'Hide loss per token' : 'Show loss per token'}</Button>
        {on && shown?.tuned && <SegmentedControl size="xs" data={VIEWS} value={view} onChange={(v) => setLossView(v as LossView)} aria-label="Whose loss is shown" />}
        {on && busy && <span className="caption">Asking the model …</span>}
      </div>
      {live && <p className="caption">A run uses the model. Its tokens can be asked about when it has ended.</p>}
      {on && error && of === row && <ErrorPanel error={error} action={{ onClick: () => void askLosses(target, row, tuned) }} onDismiss={() => showLosses(false)} />}
      {shown && (
        <>
          <p data-testid="loss-mean">{meanSentence(shown.base, shown.tuned)}{shown.tuned ? '' : ' After training, the tuned model is shown beside it.'}</p>
          <Legend difference={shown.view === 'difference'} />
        </>
      )}
    </div>
  );
}
