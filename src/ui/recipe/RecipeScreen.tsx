/** Step 3: the settings, and beside them what they mean for this data on this device. */
import { Button, SegmentedControl } from '@mantine/core';
import { useState } from 'react';
import { settings, type Setting } from '../../config/settings.ts';
import type { Recipe } from '../../config/recipe.ts';
import { resetRecipe } from '../../stores/defaults.ts';
import { usePlan } from '../../stores/plan.ts';
import { setRecipe, setRecipeMode, useRecipe, type RecipeMode } from '../../stores/recipe.ts';
import { startTraining } from '../../stores/training.ts';
import { ScreenHead } from '../components/ScreenHead.tsx';
import { formatWhole } from '../format.ts';
import { useStartBlocker } from '../home/TrainColumn.tsx';
import { ContinueFrom } from './ContinueFrom.tsx';
import { JsonView } from './JsonView.tsx';
import classes from './Recipe.module.css';
import { SettingRow } from './SettingRow.tsx';
import { TruthCard } from './TruthCard.tsx';

const MODES = [{ value: 'simple', label: 'Simple' }, { value: 'advanced', label: 'Advanced' }, { value: 'json', label: 'JSON' }];
const SIMPLE = ['training.numTrainEpochs', 'training.learningRate', 'lora.r', 'data.maxLength'];
const FACTS: Record<RecipeMode, string> = {
  simple: 'Four settings decide most of the result. The rest keep their usual values.',
  advanced: 'Everything that decides a run. Names are those of PEFT and TRL.',
  json: 'The same settings as text, to copy or paste.',
};

const settingAt = (path: string): Setting => settings().get(path)!;

/** The help of maximum length says how many rows fit, once that is known. */
function useLengthHelp(): string | undefined {
  const report = usePlan((s) => s.report.value);
  if (!report) return undefined;
  return `Rows are cut here. ${formatWhole(report.rows - report.cutRows)} of ${formatWhole(report.rows)} rows fit whole; memory grows with this value.`;
}

function Simple() {
  const lengthHelp = useLengthHelp();
  return (
    <div className={classes.list}>
      {SIMPLE.map((path) => <SettingRow key={path} setting={settingAt(path)} withRuler help={path === 'data.maxLength' ? lengthHelp : undefined} />)}
    </div>
  );
}

const GROUP_NAMES = { lora: 'Adapter', training: 'Training', data: 'Text' } as const;

function Advanced() {
  const rest = [...settings().values()].filter((s) => !SIMPLE.includes(s.path));
  return (
    <>
      {(['lora', 'training', 'data'] as const).map((group) => (
        <section key={group} className={classes.group} aria-label={GROUP_NAMES[group]}>
          <p className={classes.groupName}>{GROUP_NAMES[group]}</p>
          <div className={classes.list}>{rest.filter((s) => s.group === group).map((s) => <SettingRow key={s.path} setting={s} />)}</div>
        </section>
      ))}
    </>
  );
}

/** Reset offers to be undone until the recipe changes again. */
function ResetButton() {
  const { recipe, touched } = useRecipe();
  const [before, setBefore] = useState<{ old: Recipe; after: Recipe } | null>(null);
  if (before && before.after === recipe) {
    return <Button onClick={() => { setRecipe(before.old); setBefore(null); }}>Undo reset</Button>;
  }
  const reset = () => {
    resetRecipe();
    setBefore({ old: recipe, after: useRecipe.getState().recipe });
  };
  return <Button onClick={reset} disabled={!touched} data-testid="reset-recipe">Reset</Button>;
}

export default function RecipeScreen() {
  const mode = useRecipe((s) => s.mode);
  const blocker = useStartBlocker();
  return (
    <>
      <ScreenHead
        title="Recipe" facts={FACTS[mode]} reason={blocker}
        actions={<>
          <ResetButton />
          <Button variant="filled" disabled={blocker !== null} onClick={() => void startTraining()} data-testid="start-training">Start training</Button>
        </>}
      />
      <div className={classes.columns}>
        <div>
          <SegmentedControl data={MODES} value={mode} onChange={(v) => setRecipeMode(v as RecipeMode)} aria-label="View of the recipe" className={classes.modes} />
          <ContinueFrom />
          {mode === 'simple' && <Simple />}
          {mode === 'advanced' && <Advanced />}
          {mode === 'json' && <JsonView />}
        </div>
        <aside aria-label="What this recipe means"><TruthCard /></aside>
      </div>
    </>
  );
}
