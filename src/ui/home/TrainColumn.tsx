/** Column 3: what training will do and cost, and the button that starts it. */
import { useModel } from '../../stores/model.ts';
import { currentDataset, useData } from '../../stores/data.ts';
import { usePlan } from '../../stores/plan.ts';
import { useRecipe } from '../../stores/recipe.ts';
import { useRun } from '../../stores/run.ts';
import { startBlocker, startTraining } from '../../stores/training.ts';
import { formatBytes, formatCount, formatDuration, plural, UNKNOWN } from '../format.ts';
import { methodText } from '../names.ts';
import { Column } from './Column.tsx';
import classes from './Home.module.css';

/** Re-evaluated when anything it reads changes. */
export function useStartBlocker(): string | null {
  useModel((s) => s.status);
  useData((s) => s.currentId);
  useRecipe((s) => s.invalid);
  useRecipe((s) => s.jsonDraft);
  useRun((s) => s.status);
  return startBlocker();
}

export function TrainColumn({ next }: { next: boolean }) {
  const recipe = useRecipe((s) => s.recipe);
  const { value: forecast, stale } = usePlan((s) => s.forecast);
  const ready = useModel((s) => s.status === 'ready');
  const hasData = useData((s) => currentDataset(s) !== null);
  const blocker = useStartBlocker();
  const known = ready && hasData && forecast;
  const epochs = plural(recipe.training.numTrainEpochs, 'epoch');
  const seconds = known && forecast.seconds !== null ? `${forecast.measured ? '' : 'about '}${formatDuration(forecast.seconds)}` : UNKNOWN;
  return (
    <Column
      number={3} title="Train" next={next}
      caption={blocker ?? 'Pause or stop at any time; nothing is lost'}
      button={{ label: 'Start training', testId: 'start-training', disabled: blocker !== null, onClick: () => void startTraining() }}
    >
      <dl className={classes.plan} data-stale={stale || undefined}>
        <div><dt>Method</dt><dd>{methodText(recipe)}</dd></div>
        <div><dt>Passes over the data</dt><dd>{known ? `${epochs}, ${formatCount(forecast.steps)} steps` : epochs}</dd></div>
        <div><dt>GPU memory at peak</dt><dd>{known ? formatBytes(forecast.memory.total) : UNKNOWN}</dd></div>
        <div><dt>Adapter file</dt><dd>{known ? formatBytes(forecast.adapterBytes) : UNKNOWN}</dd></div>
        <div><dt>Time on this device</dt><dd>{seconds}</dd></div>
      </dl>
    </Column>
  );
}
