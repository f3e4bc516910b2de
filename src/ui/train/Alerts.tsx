/** Alerts of the run in words, newest first, two at most; each with the one button that does what it advises. */
import { useState } from 'react';
import type { UserMessage } from '../../config/errors.ts';
import { setSetting, useRecipe } from '../../stores/recipe.ts';
import { runIsLive, useRun } from '../../stores/run.ts';
import { goTo } from '../../stores/session.ts';
import { stopTraining } from '../../stores/training.ts';
import { Note } from '../components/Note.tsx';
import { formatCount, formatRate } from '../format.ts';
import classes from './Train.module.css';

const SHOWN = 2;

/** What one can do about it: a lower rate where the rate is to blame, else stopping while it is worth it. */
function useAction(alert: UserMessage): { label: string; onClick: () => void } | undefined {
  const live = useRun(runIsLive);
  const step = useRun((s) => s.readouts.step);
  const rate = useRecipe((s) => s.recipe.training.learningRate);
  const aboutRate = /rate/i.test(`${alert.likelyCause ?? ''} ${alert.nextStep ?? ''}`);
  if (aboutRate) {
    const half = rate / 2;
    const lower = () => {
      setSetting('training', 'learningRate', half);
      if (live) void stopTraining();
      goTo('recipe');
    };
    return { label: `${live ? 'Stop and set' : 'Set'} ${formatRate(half)}`, onClick: lower };
  }
  return live ? { label: `Stop and keep step ${formatCount(step)}`, onClick: () => void stopTraining() } : undefined;
}

function AlertNote({ alert }: { alert: UserMessage }) {
  const action = useAction(alert);
  return <Note kind="warning" title={alert.what} action={action} testId="train-alert">{[alert.likelyCause, alert.nextStep].filter(Boolean).join(' ')}</Note>;
}

export function Alerts() {
  const alerts = useRun((s) => s.alerts);
  const [all, setAll] = useState(false);
  if (alerts.length === 0) return null;
  const shown = all ? alerts : alerts.slice(0, SHOWN);
  return (
    <div className={classes.alerts}>
      {shown.map(({ alert, step }) => <AlertNote key={`${alert.code}-${step}`} alert={alert} />)}
      {alerts.length > shown.length && <button type="button" className="link" onClick={() => setAll(true)}>{alerts.length - shown.length} more</button>}
    </div>
  );
}
