/** What the recipe means here: forecast first, then counts, then memory against the limit. Never a guess without saying so. */
import { Card } from '@mantine/core';
import type { ReactNode } from 'react';
import { openFinding, setDataView } from '../../stores/data.ts';
import { useDevice } from '../../stores/device.ts';
import { useModel } from '../../stores/model.ts';
import { requestPlan, usePlan } from '../../stores/plan.ts';
import { useRecipe } from '../../stores/recipe.ts';
import { goTo } from '../../stores/session.ts';
import type { Forecast } from '../../stores/types.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { MEMORY_COLOURS, MemoryBar } from '../components/MemoryBar.tsx';
import { formatBytes, formatCount, formatDuration, formatPercent, UNKNOWN } from '../format.ts';
import classes from './TruthCard.module.css';

interface CountProps { name: string; value: ReactNode; unit?: ReactNode }

const Count = ({ name, value, unit }: CountProps) => (
  <div className={classes.count}><dt>{name}</dt><dd><span className={classes.value}>{value}</span>{unit && <span className={classes.unit}>{unit}</span>}</dd></div>
);

function showLeftOut(): void {
  const finding = usePlan.getState().report.value?.findings.find((f) => f.kind === 'no-target');
  if (finding) openFinding(finding);
  setDataView(finding ? 'table' : 'mask');
  goTo('data');
}

function Counts({ f }: { f: Forecast | null }) {
  return (
    <dl className={classes.counts}>
      <Count name="Training rows" value={formatCount(f?.trainingRows)} unit={f && f.heldOutRows > 0 ? `${formatCount(f.heldOutRows)} held out` : undefined} />
      <Count name="Tokens seen" value={formatCount(f?.tokensSeen)} unit={f ? `${formatCount(f.labelledTokensSeen)} trained` : undefined} />
      <Count name="Optimizer steps" value={formatCount(f?.steps)} unit={f ? `${formatCount(f.stepsPerEpoch)} an epoch` : undefined} />
      <Count name="Trainable parameters" value={formatCount(f?.trainableParameters)} unit={f ? formatPercent(f.trainableParameters / f.modelParameters) : undefined} />
      {f && f.droppedRows > 0
        ? <Count name="Rows left out" value={<button type="button" className={`link ${classes.value}`} onClick={showLeftOut}>{formatCount(f.droppedRows)}</button>} unit="no trained token" />
        : <Count name="Rows left out" value={f ? '0' : UNKNOWN} />}
    </dl>
  );
}

function Memory({ f }: { f: Forecast }) {
  const limit = useDevice((s) => s.info?.maxBufferSize ?? null);
  const dtype = useModel((s) => s.summary?.dtype);
  const { perDeviceTrainBatchSize: rows } = useRecipe((s) => s.recipe.training);
  const maxLength = useRecipe((s) => s.recipe.data.maxLength);
  const parts = [
    { key: 'weights', name: `Frozen weights${dtype ? `, ${dtype}` : ''}` }, { key: 'activations', name: `Activations, ${rows} rows of ${formatCount(maxLength)}` },
    { key: 'logits', name: 'Logits and work space' }, { key: 'adapter', name: 'Adapter, gradients, optimizer' },
  ] as const;
  const over = limit !== null && f.memory.total > limit;
  return (
    <div className={classes.memory}>
      <MemoryBar title="GPU memory at peak" limit={limit} parts={parts.map(({ key, name }) => ({ key, name, bytes: f.memory[key], colour: MEMORY_COLOURS[key] }))} />
      <p className="caption">
        In use now: {formatBytes(f.memory.weights)}.{' '}
        {over ? `More than ${formatBytes(limit)}, the largest buffer this device allows: a smaller batch or length is safer.` : limit !== null && 'Browsers tell the largest buffer only, not the whole memory of the adapter.'}
      </p>
    </div>
  );
}

export function TruthCard() {
  const { value: f, stale, busy, error } = usePlan((s) => s.forecast);
  const known = f !== null && f.seconds !== null;
  const source = known ? (f.measured ? 'measured on this device' : 'estimated') : '';
  return (
    <Card padding={22} className={classes.card} data-stale={stale || undefined} data-testid="truth-card" aria-busy={busy}>
      <div className={classes.forecast}>
        <span>Time on this device</span>
        <span className="caption">{source}</span>
        <p className={classes.time}>{known ? `${f.measured ? '' : 'about '}${formatDuration(f.seconds)}` : UNKNOWN}</p>
      </div>
      {error && <div style={{ margin: '12px 0' }}><ErrorPanel error={error} action={{ onClick: () => requestPlan('forecast') }} /></div>}
      <Counts f={f} />
      {f ? <Memory f={f} /> : <p className={`caption ${classes.memory}`}>{busy ? 'Counting rows and tokens.' : 'Choose a model and data, and this card tells what a run will take.'}</p>}
    </Card>
  );
}
