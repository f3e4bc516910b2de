/** What the recipe means here: forecast first, then counts, then memory against the limit. Never a guess without saying so. */
import { Button, Card } from '@mantine/core';
import type { ReactNode } from 'react';
import { setDataView } from '../../stores/data.ts';
import { useModel } from '../../stores/model.ts';
import { requestPlan, usePlan } from '../../stores/plan.ts';
import { useRecipe } from '../../stores/recipe.ts';
import { openFinding } from '../../stores/rowPlace.ts';
import { remediesIn } from '../../stores/remedies.ts';
import { goTo } from '../../stores/session.ts';
import type { Forecast } from '../../stores/types.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { MEMORY_COLOURS, MemoryBar, type MemoryPart } from '../components/MemoryBar.tsx';
import { formatBytes, formatCount, formatDuration, formatPercent, UNKNOWN } from '../format.ts';
import { POLICY_WORDS, QUANTIZATION_NAMES } from '../names.ts';
import classes from './TruthCard.module.css';

interface CountProps { name: string; value: ReactNode; unit?: ReactNode }

const Count = ({ name, value, unit }: CountProps) => (
  <div className={classes.count}><dt>{name}</dt><dd><span className={classes.value}>{value}</span>{unit && <span className={classes.unit}>{unit}</span>}</dd></div>
);

function showLeftOut(): void {
  const finding = usePlan.getState().report.value?.findings.find((f) => f.kind === 'no-target');
  if (finding) void openFinding(finding);
  setDataView(finding ? 'table' : 'mask');
  goTo('data');
}

function Counts({ f }: { f: Forecast | null }) {
  return (
    <dl className={classes.counts}>
      <Count name="Training rows" value={formatCount(f?.trainingRows)} unit={f && f.heldOutRows > 0 ? `${formatCount(f.heldOutRows)} held out` : undefined} />
      {f && f.mix.rowsPerEpoch !== f.trainingRows && <Count name="Rows an epoch" value={formatCount(f.mix.rowsPerEpoch)} unit="balanced" />}
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
  const { memory } = f;
  const summary = useModel((s) => s.summary);
  const { perDeviceTrainBatchSize: rows } = useRecipe((s) => s.recipe.training);
  const maxLength = useRecipe((s) => s.recipe.data.maxLength);
  const stored = summary && (summary.quantization === 'none' ? summary.dtype : QUANTIZATION_NAMES[summary.quantization]);
  const parts: MemoryPart[] = [
    { key: 'weights', name: `Frozen weights${stored ? `, ${stored}` : ''}`, bytes: memory.weights, colour: MEMORY_COLOURS.weights },
    { key: 'activations', name: `Activations, ${rows} rows of ${formatCount(maxLength)}`, bytes: memory.activations + memory.scratch, colour: MEMORY_COLOURS.activations },
    { key: 'logits', name: 'Logits and work space', bytes: memory.logits + memory.other, colour: MEMORY_COLOURS.logits },
    { key: 'adapter', name: 'Adapter, gradients, optimizer', bytes: memory.adapter, colour: MEMORY_COLOURS.adapter },
    ...(memory.generation > 0 ? [{ key: 'generation', name: 'Answers on the way, KV cache', bytes: memory.generation, colour: MEMORY_COLOURS.generation }] : []),
  ];
  const cost = memory.extraFlops > 0 ? `, for about ${formatPercent(memory.extraFlops)} more work a step` : '';
  const first = memory.policies[0];
  const saved = memory.policy !== 'none' && first && first.total > memory.total ? `: ${formatBytes(first.total - memory.total)} less` : '';
  return (
    <div className={classes.memory}>
      <MemoryBar title="GPU memory at peak" limit={memory.budget.bytes} parts={parts} />
      <p className="caption" data-testid="memory-policy">{POLICY_WORDS[memory.policy]}{saved}{cost}.</p>
      <p className="caption">{memory.budget.words}</p>
      {!memory.fits && (
        <div className={classes.remedies} data-testid="too-large">
          <p><b>More than the device is taken to hold.</b> {memory.smaller.length > 0 ? 'One of these makes it fit:' : 'Choose a smaller model.'}</p>
          <div>{memory.smaller.map(({ change, bytes }) => remediesIn(change).length === 1
            ? remediesIn(change).map((remedy) => <Button key={change} size="xs" onClick={remedy.apply} data-testid="remedy">{remedy.label}, {formatBytes(bytes)}</Button>)
            : <p key={change}>{change}, {formatBytes(bytes)}</p>)}</div>
        </div>
      )}
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
