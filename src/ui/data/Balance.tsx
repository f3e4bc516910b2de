/** How often rows of each task or file are seen: as it is, balanced, or by weights and caps; with the effect on shares and steps. */
import { Select, TextInput } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import { useState } from 'react';
import { Bar, BarChart, XAxis, YAxis } from 'recharts';
import { BALANCES } from '../../config/recipe.ts';
import { checkSetting, settings } from '../../config/settings.ts';
import { currentDataset, useData } from '../../stores/data.ts';
import { usePlan } from '../../stores/plan.ts';
import { setSetting, useRecipe } from '../../stores/recipe.ts';
import type { DatasetSummary, TrainingMix } from '../../stores/types.ts';
import { NumberField, parseNumber } from '../recipe/NumberField.tsx';
import classes from './Balance.module.css';
import { effectWords, groupWords, shareText, sharesOf, type GroupShare } from './balanceWords.ts';
import data from './Data.module.css';

const MODES: Record<(typeof BALANCES)[number], string> = { asItIs: 'As it is', balanced: 'Balanced', temperature: 'Temperature', own: 'Own weights and caps' };
const HELP: Record<(typeof BALANCES)[number], string> = {
  asItIs: 'Each row once an epoch. A task with most of the rows gets most of the training.',
  balanced: 'Every task as often as every other, as far as the bound on repeats allows.',
  temperature: 'Small tasks more often, large ones less: between as it is (1) and balanced (large).',
  own: 'Weight: how often a row is seen an epoch, 0 leaves it out. Cap: the most rows of a task an epoch.',
};
const MARGIN = { top: 0, right: 0, bottom: 0, left: 0 };

/** Both shares as bars on one scale: grey as it is, petrol as it will be trained. */
function ShareBars({ share, most, changed }: { share: GroupShare; most: number; changed: boolean }) {
  const { ref, width } = useElementSize();
  const height = changed ? 13 : 7;
  return (
    <div ref={ref} className={classes.bars} style={{ height }} aria-hidden="true">
      {width > 0 && (
        <BarChart width={width} height={height} data={[share]} layout="vertical" margin={MARGIN} barSize={5} barGap={2} accessibilityLayer={false}>
          <XAxis type="number" hide domain={[0, most]} />
          <YAxis type="category" dataKey="name" hide />
          <Bar dataKey="before" fill="var(--etude-aux)" isAnimationActive={false} />
          {changed && <Bar dataKey="after" fill="var(--etude-accent)" isAnimationActive={false} />}
        </BarChart>
      )}
    </div>
  );
}

/** A number of the recipe's table under a name; an empty field takes it out. */
function OwnNumber({ path, name, label, none }: { path: 'data.balanceWeights' | 'data.balanceCaps'; name: string; label: string; none: string }) {
  const key = path === 'data.balanceWeights' ? 'balanceWeights' : 'balanceCaps';
  const table = useRecipe((s) => s.recipe.data[key]);
  const [typed, setTyped] = useState<string | null>(null);
  const kept = Object.hasOwn(table, name) ? String(table[name]) : '';
  const change = (text: string) => {
    setTyped(text);
    const { [name]: _, ...others } = table;
    const value = parseNumber(text);
    const next = value === null ? others : { ...others, [name]: value };
    if (checkSetting(path, next).error === null) setSetting('data', key, next);
  };
  const shown = typed ?? kept;
  const value = parseNumber(shown);
  return (
    <TextInput
      size="xs" value={shown} placeholder={none} aria-label={label} inputMode="decimal" autoComplete="off" data-testid={`${key}-${name}`}
      error={value !== null && checkSetting(path, { [name]: value }).error !== null} onChange={(e) => change(e.currentTarget.value)} onBlur={() => setTyped(null)}
    />
  );
}

function Group({ share, most, mix }: { share: GroupShare; most: number; mix: TrainingMix }) {
  const own = useRecipe((s) => s.recipe.data.balance === 'own');
  const packing = useRecipe((s) => s.recipe.training.packing);
  const changed = mix.groups.some((group) => group.rows !== group.perEpoch);
  const words = groupWords(share, packing);
  return (
    <li className={classes.group} data-group={share.name}>
      <h3>{share.title}</h3>
      <span className={classes.share}>{shareText(share)}</span>
      <ShareBars share={share} most={most} changed={changed} />
      {words && <p className="caption">{words}</p>}
      {own && (
        <div className={classes.own}>
          <span className="caption">Weight</span><OwnNumber path="data.balanceWeights" name={share.name} label={`Weight of ${share.title}`} none="1" />
          <span className="caption">Cap</span><OwnNumber path="data.balanceCaps" name={share.name} label={`Cap of ${share.title}`} none="none" />
        </div>
      )}
    </li>
  );
}

/** Weights that do what the present mode does, so that nothing changes until a person changes it. */
function weightsOf(mix: TrainingMix): Record<string, number> {
  return Object.fromEntries(mix.groups.filter((g) => g.rows !== g.perEpoch && g.rows > 0).slice(0, 32).map((g) => [g.name, Number((g.perEpoch / g.rows).toFixed(4))]));
}

function Settings({ mix, files }: { mix: TrainingMix; files: boolean }) {
  const { balance, balanceBy, balanceWeights } = useRecipe((s) => s.recipe.data);
  const all = useRecipe((s) => s.recipe.data);
  const number = (name: 'balanceTemperature' | 'balanceRepeats') => {
    const setting = settings().get(`data.${name}`)!;
    return <div className={classes.field}><span>{setting.label}</span><NumberField setting={setting} value={all[name]} width={104} /></div>;
  };
  const choose = (mode: string | null) => {
    if (mode === null) return;
    if (mode === 'own' && balance !== 'asItIs' && Object.keys(balanceWeights).length === 0) setSetting('data', 'balanceWeights', weightsOf(mix));
    setSetting('data', 'balance', mode);
  };
  return (
    <div className={classes.settings}>
      <Select aria-label="Balance" size="sm" allowDeselect={false} data={BALANCES.map((value) => ({ value, label: MODES[value] }))} value={balance} onChange={choose} data-testid="balance-mode" />
      {files && <Select aria-label="Balance by" size="sm" allowDeselect={false} data={[{ value: 'task', label: 'By what rows ask for' }, { value: 'file', label: 'By the file they came from' }]} value={balanceBy} onChange={(by) => by && setSetting('data', 'balanceBy', by)} data-testid="balance-by" />}
      <p className="caption">{HELP[balance]}</p>
      {balance === 'temperature' && number('balanceTemperature')}
      {(balance === 'balanced' || balance === 'temperature') && number('balanceRepeats')}
    </div>
  );
}

function Loaded({ dataset }: { dataset: DatasetSummary }) {
  const { value, stale, error } = usePlan((s) => s.forecast);
  // A mix that leaves nothing has no forecast: the fields that led there must stay.
  const [last, setLast] = useState(value);
  if (value && value !== last) setLast(value);
  const forecast = value ?? last;
  if (!forecast || (forecast.mix.groups.length < 2 && !dataset.files)) return null;
  const { mix } = forecast;
  const shares = sharesOf(mix);
  const most = Math.max(...shares.flatMap(({ before, after }) => [before, after]));
  return (
    <section data-testid="balance">
      <div className={data.sectionHead}><h2>Balance</h2><span className="caption">share of training</span></div>
      <Settings mix={mix} files={dataset.files !== undefined} />
      <p className={classes.effect} data-stale={stale || undefined} role="status" data-testid="balance-effect">{error ? `${error.what} ${error.nextStep ?? ''}` : effectWords(forecast)}</p>
      <ul className={classes.groups}>
        {shares.map((share) => <Group key={share.name} share={share} most={most} mix={mix} />)}
      </ul>
      <p className="caption" style={{ marginTop: 6 }}>Held-out rows stay as they are. The record of changes names every row that is left out or repeated.</p>
    </section>
  );
}

export function Balance() {
  const dataset = useData(currentDataset);
  return dataset && <Loaded key={dataset.id} dataset={dataset} />;
}
