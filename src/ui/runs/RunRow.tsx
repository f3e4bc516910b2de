/** One run: what it was, how it ended, and what can be done with it. */
import { ActionIcon, Button, Checkbox, Menu, TextInput } from '@mantine/core';
import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { setRecipe } from '../../stores/recipe.ts';
import { openRun, renameRun, runsFailed, useRuns, viewRun } from '../../stores/runs.ts';
import { runIsLive, useRun } from '../../stores/run.ts';
import { goTo, openDialog } from '../../stores/session.ts';
import { ensureModelFor, resumeTraining } from '../../stores/training.ts';
import type { RunSummary } from '../../stores/types.ts';
import { IconMenu2 } from '../icons.ts';
import { formatCount, formatDate, formatDuration, formatLoss, plural } from '../format.ts';
import { modelTitle, STATUS_NAMES } from '../names.ts';
import { StepMark, type Mark } from '../components/StepMark.tsx';
import classes from './Runs.module.css';

const MARKS: Record<RunSummary['status'], Mark> = {
  running: 'arc', paused: 'arc', finished: 'check', stopped: 'check', failed: 'triangle', interrupted: 'triangle',
};

/** Curves and adapter; the base model is loaded first where it can be. */
async function reopen(run: RunSummary): Promise<void> {
  const missing = await ensureModelFor(run);
  if (missing) {
    runsFailed({ code: 'run.modelMissing', what: `${run.name} needs its base model, ${modelTitle(run.model)}.`, likelyCause: missing, nextStep: 'Load it on the Model step, then open the run again.' });
    return;
  }
  if (await openRun(run)) goTo('try');
}

const view = async (run: RunSummary): Promise<void> => { if (await viewRun(run)) goTo('train'); };

function Name({ run, editing, onDone }: { run: RunSummary; editing: boolean; onDone: () => void }) {
  const [text, setText] = useState(run.name);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => { if (editing) field.current?.select(); }, [editing]);
  if (!editing) return <span className={classes.name}>{run.name}</span>;
  const save = () => {
    onDone();
    if (text.trim() && text.trim() !== run.name) void renameRun(run.id, text.trim());
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === 'Enter') save();
    if (event.key === 'Escape') onDone();
  };
  return <TextInput aria-label="Name of the run" value={text} maxLength={120} ref={field} onChange={(e) => setText(e.currentTarget.value)} onBlur={save} onKeyDown={key} data-testid="rename-input" />;
}

interface MoreProps { run: RunSummary; live: boolean; renaming: boolean; onRename: () => void; onDelete: () => void }

function More({ run, live, renaming, onRename, onDelete }: MoreProps) {
  return (
    // The name's field takes the focus, so the menu must not take it back.
    <Menu position="bottom-end" width={190} returnFocus={!renaming}>
      <Menu.Target><ActionIcon variant="subtle" size={30} aria-label={`More for ${run.name}`} className={classes.more}><IconMenu2 size={16} /></ActionIcon></Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => void view(run)} disabled={live}>See its curves</Menu.Item>
        <Menu.Item onClick={onRename}>Rename</Menu.Item>
        <Menu.Item onClick={() => { setRecipe(run.recipe); goTo('recipe'); }}>Use its recipe</Menu.Item>
        <Menu.Item onClick={() => { setRecipe(run.recipe); openDialog('share'); }}>Share its recipe</Menu.Item>
        <Menu.Item onClick={onDelete} disabled={live} className={classes.danger!}>Delete</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

interface RunRowProps { run: RunSummary; live: boolean; chosen: boolean; onChoose: (on: boolean) => void; onDelete: () => void }

export function RunRow({ run, live, chosen, onChoose, onDelete }: RunRowProps) {
  const [renaming, setRenaming] = useState(false);
  const opening = useRuns((s) => s.opening === run.id);
  const busy = useRun(runIsLive);
  const facts = [modelTitle(run.model), plural(run.dataset.rows, 'row'), `rank ${run.recipe.lora.r}`, formatDate(run.createdAt)].join(' · ');
  const canOpen = (run.status === 'finished' || run.status === 'stopped') && run.step > 0;
  return (
    <li className={classes.run} data-run={run.id} data-status={run.status}>
      <Checkbox size="xs" aria-label={`Choose ${run.name}`} checked={chosen} onChange={(e) => onChoose(e.currentTarget.checked)} disabled={live} />
      <StepMark mark={MARKS[run.status]} share={run.totalSteps ? run.step / run.totalSteps : 0} />
      <div className={classes.words}>
        <Name key={run.name} run={run} editing={renaming} onDone={() => setRenaming(false)} />
        <p className="caption">{facts}</p>
      </div>
      <dl className={classes.numbers}>
        <div><dt>{STATUS_NAMES[run.status]}</dt><dd>{formatCount(run.step)} of {formatCount(run.totalSteps)}</dd></div>
        <div><dt>Loss</dt><dd>{formatLoss(run.finalLoss)}</dd></div>
        <div><dt>Best validation</dt><dd>{formatLoss(run.bestEvalLoss)}</dd></div>
        <div><dt>Time</dt><dd>{formatDuration(run.seconds)}</dd></div>
      </dl>
      <div className={classes.actions}>
        {run.resumable && !live && run.status !== 'finished'
          ? <Button size="xs" disabled={busy} onClick={() => void resumeTraining(run)} data-testid="resume-run">Resume</Button>
          : canOpen && <Button size="xs" disabled={opening || busy} onClick={() => void reopen(run)} data-testid="open-run">{opening ? 'Opening' : 'Open'}</Button>}
        {live && <Button size="xs" onClick={() => goTo('train')}>Watch</Button>}
        <More run={run} live={live} renaming={renaming} onRename={() => setRenaming(true)} onDelete={onDelete} />
      </div>
    </li>
  );
}
