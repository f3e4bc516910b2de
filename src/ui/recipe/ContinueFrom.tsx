/** Whether the next run starts afresh or goes on from the adapter on the model: trained here, reopened, or made elsewhere. */
import { SegmentedControl } from '@mantine/core';
import { setContinueFrom, useTuned } from '../../stores/tuned.ts';
import classes from './Recipe.module.css';

const CHOICES = [{ value: 'fresh', label: 'A fresh adapter' }, { value: 'tuned', label: 'The one on the model' }];

export function ContinueFrom() {
  const { tuned, continueFrom } = useTuned();
  if (!tuned) return null;
  return (
    <section className={classes.continue} aria-label="Start from" data-testid="continue-from">
      <p className={classes.groupName}>Start from</p>
      <SegmentedControl data={CHOICES} value={continueFrom ? 'tuned' : 'fresh'} onChange={(v) => setContinueFrom(v === 'tuned')} aria-label="Start from" />
      <p className="caption">
        {continueFrom
          ? `Goes on from ${tuned.name}${tuned.step === null ? '' : `, step ${tuned.step}`}. Its rank, alpha and layers are kept; those below do not count.`
          : `${tuned.name} is on the model; a fresh adapter leaves it as it is.`}
      </p>
    </section>
  );
}
