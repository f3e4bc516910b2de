/** What the rail says of each step: a mark and one line. Pure: the stores' states in, words out. */
import type { Mark } from '../components/StepMark.tsx';
import type { Place, Step } from '../../stores/session.ts';
import type { RunStatus } from '../../stores/types.ts';
import { formatClock, formatCount, formatDuration, formatPercent, plural } from '../format.ts';

export interface StepFacts {
  place: Place;
  model: { status: 'idle' | 'loading' | 'ready' | 'failed'; name: string | null; share: number | null };
  data: { rows: number | null; importing: boolean; findings: number | null };
  recipe: { touched: boolean; visited: boolean; rank: number; epochs: number; invalid: number };
  run: { status: RunStatus | 'idle' | 'starting'; step: number; totalSteps: number; left: number | null };
  tuned: { step: number | null; name: string } | null;
  exported: { files: number; ok: boolean } | null;
  exporting: boolean;
}

export interface StepState { mark: Mark; line: string; share?: number }

const LIVE = new Set<StepFacts['run']['status']>(['running', 'paused', 'starting']);

function modelState({ model }: StepFacts): StepState {
  switch (model.status) {
    case 'loading': return { mark: 'arc', line: model.share === null ? 'Loading' : `Loading, ${formatPercent(model.share)}`, share: model.share ?? 0.05 };
    case 'ready': return { mark: 'check', line: `${model.name ?? 'Model'} · loaded` };
    case 'failed': return { mark: 'triangle', line: 'Not loaded' };
    case 'idle': return { mark: 'ring', line: 'Choose a model' };
  }
}

function dataState({ data }: StepFacts): StepState {
  if (data.importing) return { mark: 'arc', line: 'Importing', share: 0.25 };
  if (data.rows === null) return { mark: 'ring', line: 'None yet' };
  const rows = plural(data.rows, 'row');
  if (data.findings) return { mark: 'triangle', line: `${rows} · ${plural(data.findings, 'finding')}` };
  return { mark: 'check', line: rows };
}

function recipeState({ recipe }: StepFacts): StepState {
  if (recipe.invalid) return { mark: 'triangle', line: `${plural(recipe.invalid, 'setting')} out of range` };
  if (!recipe.touched && !recipe.visited) return { mark: 'ring', line: 'Defaults' };
  return { mark: 'check', line: `Rank ${recipe.rank} · ${plural(recipe.epochs, 'epoch')}` };
}

function trainState({ run, tuned, model, data }: StepFacts): StepState {
  const of = `${formatCount(run.step)} of ${formatCount(run.totalSteps)}`;
  const share = run.totalSteps ? run.step / run.totalSteps : 0;
  switch (run.status) {
    case 'starting': return { mark: 'arc', line: 'Starting', share: 0.02 };
    case 'running': return { mark: 'arc', line: run.left === null ? of : `${of} · ${run.left < 60 ? formatDuration(run.left) : formatClock(run.left)} left`, share };
    case 'paused': return { mark: 'arc', line: `${of} · paused`, share };
    case 'failed': return { mark: 'triangle', line: `Stopped by an error at ${formatCount(run.step)}` };
    case 'interrupted': return { mark: 'triangle', line: `Interrupted at ${formatCount(run.step)}` };
    case 'stopped':
    case 'finished': return { mark: 'check', line: `Step ${formatCount(run.step)} kept` };
    case 'idle':
      if (tuned) return { mark: 'check', line: tuned.step === null ? 'Adapter opened' : `Step ${formatCount(tuned.step)} kept` };
      return { mark: 'ring', line: model.status === 'ready' && data.rows !== null ? 'Ready' : 'Not started' };
  }
}

function tryState({ tuned, run }: StepFacts): StepState {
  if (LIVE.has(run.status) && run.status !== 'paused') return { mark: 'ring', line: run.status === 'running' ? 'Paused run only' : 'After training' };
  return tuned ? { mark: 'check', line: 'Ready' } : { mark: 'ring', line: 'After training' };
}

function exportState({ tuned, exported, exporting, run }: StepFacts): StepState {
  if (exporting) return { mark: 'arc', line: 'Checking', share: 0.5 };
  if (exported) return exported.ok
    ? { mark: 'check', line: `${plural(exported.files, 'file')} · checked` }
    : { mark: 'triangle', line: 'A check has failed' };
  return { mark: 'ring', line: tuned && !LIVE.has(run.status) ? 'Ready' : 'After training' };
}

/** State of every step; the step under way shows the dotted ring unless it has something better to say. */
export function stepStates(facts: StepFacts): Record<Step, StepState> {
  const states: Record<Step, StepState> = {
    model: modelState(facts), data: dataState(facts), recipe: recipeState(facts),
    train: trainState(facts), try: tryState(facts), export: exportState(facts),
  };
  const { place } = facts;
  if (place !== 'runs' && states[place].mark === 'ring') states[place] = { ...states[place], mark: 'here' };
  return states;
}

/** "2 finished", or what there is. */
export function runsLine(runs: { status: RunStatus }[] | null): string {
  if (!runs?.length) return 'None yet';
  const finished = runs.filter((r) => r.status === 'finished').length;
  const open = runs.filter((r) => r.status === 'interrupted').length;
  if (open) return `${open} to resume`;
  return finished ? `${finished} finished` : plural(runs.length, 'run');
}
