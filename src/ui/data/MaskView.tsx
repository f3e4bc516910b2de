/** The mask inspector: a rendered row, each token trained or ignored, exactly what the collator will feed. */
import { useCallback, useEffect, useMemo, useState } from 'react';
import { useData } from '../../stores/data.ts';
import { inspect, switchTurn, useInspect, type InspectTarget } from '../../stores/inspect.ts';
import { chooseModel, loadModel, useModel } from '../../stores/model.ts';
import { useRecipe } from '../../stores/recipe.ts';
import type { DatasetSummary, InspectedRow } from '../../stores/types.ts';
import { EmptyState } from '../components/EmptyState.tsx';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { Note } from '../components/Note.tsx';
import { formatWhole } from '../format.ts';
import { useSingleKeys } from '../shell/useShortcuts.ts';
import classes from './Mask.module.css';
import { MaskRuler } from './MaskRuler.tsx';
import { LossPanel, useShownLosses } from './LossPanel.tsx';
import { RowPlace, RowSwitch } from './RowPlace.tsx';
import { ReadingLine, type Reading } from './TokenReading.tsx';
import { TurnView } from './TurnView.tsx';

const Legend = ({ withCut }: { withCut: boolean }) => (
  <ul className={classes.legend} aria-label="Key">
    <li><span data-key="trained" />Trained</li>
    <li><span data-key="ignored" />Ignored</li>
    <li><span data-key="special" />Special</li>
    {withCut && <li><span data-key="cut" />Cut off</li>}
  </ul>
);

const sentence = (text: string): string => `${text[0]?.toUpperCase() ?? ''}${text.slice(1).replace(/\.$/, '')}.`;

function cutWords(row: InspectedRow): string | null {
  const cut = row.totalTokens - row.keptTokens;
  return cut > 0 ? `${formatWhole(cut)} of its ${formatWhole(row.totalTokens)} tokens are beyond the maximum length and are cut off.` : null;
}

/** Position of each turn's first token. */
function turnStarts(row: InspectedRow): number[] {
  const starts = [0];
  for (const turn of row.turns) starts.push(starts.at(-1)! + turn.tokens.length);
  return starts;
}

/** A row that is left out trains nothing, whatever its turns are set to. Pure. */
export function asTrained(row: InspectedRow): InspectedRow {
  if (!row.leftOutBy) return row;
  return { ...row, trainedTokens: 0, turns: row.turns.map((turn) => ({ ...turn, trained: false, tokens: turn.tokens.map((token) => ({ ...token, trained: false })) })) };
}

function InspectedRowView({ row, target }: { row: InspectedRow; target: InspectTarget }) {
  const [read, setReading] = useState<{ of: InspectedRow; reading: Reading | null } | null>(null);
  // A reading of the row before says nothing of this one.
  const reading = read?.of === row ? read.reading : null;
  const onRead = useCallback((next: Reading | null) => setReading({ of: row, reading: next }), [row]);
  const onSwitch = useCallback((index: number, trained: boolean) => void switchTurn(target, index, trained), [target]);
  const losses = useShownLosses(row);
  const shown = useMemo(() => asTrained(row), [row]);
  const starts = turnStarts(row);
  const cut = cutWords(row);
  const refused = row.refused && <div className={classes.note}><Note kind="warning" title="This row is left out of training." testId="row-refused">{sentence(row.refused)}</Note></div>;
  if (row.totalTokens === 0) return refused || null;
  return (
    <>
      <div className={classes.head}>
        <p className={classes.count} data-testid="mask-count">{row.leftOutBy ? `None of its ${formatWhole(row.totalTokens)} tokens is trained` : `${formatWhole(row.trainedTokens)} of ${formatWhole(row.totalTokens)} tokens are trained`}</p>
        <RowSwitch row={row} target={target} />
        <Legend withCut={cut !== null} />
      </div>
      <MaskRuler row={shown} />
      <RowPlace row={row} target={target} />
      <LossPanel row={row} target={target} />
      <ReadingLine reading={reading} losses={losses[0] ?? null} />
      {cut && <p className={`${classes.warn} ${classes.note}`}>{cut}</p>}
      {refused}
      <ol className={classes.turns} data-testid="mask-turns">
        {shown.turns.map((turn, i) => (
          // A row's turns never change places.
          // oxlint-disable-next-line react/no-array-index-key
          <TurnView key={i} turn={turn} start={starts[i]!} reading={reading} onRead={onRead} onSwitch={row.leftOutBy ? null : onSwitch} losses={losses} />
        ))}
      </ol>
      {row.rejected !== undefined && <Rejected text={row.rejected} />}
    </>
  );
}

/** The other answer of a preference pair. */
function Rejected({ text }: { text: string }) {
  return (
    <section className={classes.turn} aria-label="Rejected answer" data-testid="rejected">
      <div className={classes.about}><h2>rejected</h2><p className="caption">not trained</p></div>
      <div className={classes.tokens}>
        <p className="dim" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>{text || 'empty'}</p>
        <p className="caption">The answer that was not preferred: kept with the row for later, not trained.</p>
      </div>
    </section>
  );
}

function NeedsModel() {
  const loading = useModel((s) => s.status === 'loading');
  return (
    <EmptyState
      title="Tokens need a model"
      action={loading ? undefined : { label: 'Use built-in model', onClick: () => { chooseModel('builtin'); void loadModel(); } }}
    >
      {loading ? 'The model is loading. Its tokenizer decides where tokens begin and end.' : 'Its tokenizer decides where tokens begin and end, and its template where a turn ends. Load one to see what is trained.'}
    </EmptyState>
  );
}

/** T switches the turn that has the focus. */
function toggleFocusedTurn(key: string): boolean {
  if (key !== 't' && key !== 'T') return false;
  const turn = document.activeElement?.closest('[data-turn]') ?? document.querySelector('[data-turn] input:not(:disabled)')?.closest('[data-turn]');
  const input = turn?.querySelector<HTMLInputElement>('input[role="switch"]:not(:disabled)');
  input?.click();
  return Boolean(input);
}

export function MaskView({ dataset }: { dataset: DatasetSummary }) {
  const ready = useModel((s) => s.status === 'ready');
  const index = useData((s) => s.row);
  const version = useData((s) => s.version);
  const template = useRecipe((s) => s.recipe.data.template);
  const maxLength = useRecipe((s) => s.recipe.data.maxLength);
  const { row, error } = useInspect();
  const target: InspectTarget = useMemo(() => ({ datasetId: dataset.id, index, template, maxLength }), [dataset.id, index, template, maxLength]);
  useSingleKeys(toggleFocusedTurn);

  // A new version of the rows is a reason to look again, too.
  useEffect(() => { if (ready) void inspect(target); }, [ready, target, version]);

  if (!ready) return <NeedsModel />;
  if (error) return <ErrorPanel error={error} action={{ onClick: () => void inspect(target) }} />;
  if (!row || row.index !== index) return <div className={classes.waiting} />;
  return <InspectedRowView row={row} target={target} />;
}
