/** The rows in use against another dataset: how many ask the same, which, beside each other, and one button that leaves them out. */
import { Button, NativeSelect } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { inspectRow, useData } from '../../stores/data.ts';
import { leaveOutOverlap, useFixes } from '../../stores/dataFixes.ts';
import { cancelCompare, compareWith, importOther, rowTexts, useOverlap, type OverlapResult } from '../../stores/overlap.ts';
import type { DatasetSummary, DisplayRow } from '../../stores/types.ts';
import { EmptyState } from '../components/EmptyState.tsx';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { Note } from '../components/Note.tsx';
import { ProgressRow } from '../components/ProgressRow.tsx';
import { formatWhole, plural } from '../format.ts';
import { datasetTitle } from '../names.ts';
import classes from './Overlap.module.css';
import { showView } from './showView.ts';

const PAGE = 20;

interface Pair { row: number; otherRow: number; near: boolean }

const pairsOf = ({ rows, otherRows, near }: OverlapResult): Pair[] => [
  ...rows.map((row, i) => ({ row, otherRow: otherRows[i]!, near: false })),
  ...near.rows.map((row, i) => ({ row, otherRow: near.otherRows[i]!, near: true })),
];

/** "12 of 480 rows ask what test.jsonl asks. 3 more ask nearly that." Pure. */
export function overlapWords({ count, near }: Pick<OverlapResult, 'count' | 'near'>, rows: number, other: string): string {
  if (count + near.count === 0) return `No row asks what ${other} asks, nor nearly that.`;
  const verb = (n: number) => (n === 1 ? 'asks' : 'ask');
  const same = count === 0 ? `No row asks exactly what ${other} asks.` : `${formatWhole(count)} of ${plural(rows, 'row')} ${verb(count)} what ${other} asks.`;
  return near.count === 0 ? same : `${same} ${formatWhole(near.count)}${count === 0 ? '' : ' more'} ${verb(near.count)} nearly that.`;
}

function useTexts(datasetId: string, index: number): DisplayRow | null {
  const [found, setFound] = useState<DisplayRow | null>(null);
  useEffect(() => {
    let current = true;
    void rowTexts(datasetId, index).then((row) => { if (current) setFound(row); });
    return () => { current = false; };
  }, [datasetId, index]);
  return found?.index === index ? found : null;
}

/** On a phone, where the sides lie below each other, each says whose it is. */
function Side({ dataset, index, onOpen }: { dataset: DatasetSummary; index: number; onOpen?: () => void }) {
  const row = useTexts(dataset.id, index);
  const name = `Row ${formatWhole(index + 1)}`;
  return (
    <div className={classes.text}>
      <p className="caption"><span className={classes.whose}>{datasetTitle(dataset)} · </span>{onOpen ? <button type="button" className="link" onClick={onOpen}>{name}</button> : name}{row ? ` · line ${formatWhole(row.line)}` : ''}</p>
      <p>{row ? row.prompt || row.problem : ' '}</p>
      {row?.answer && <p className={classes.answer}>{row.answer}</p>}
    </div>
  );
}

function Pairs({ result, dataset, other }: { result: OverlapResult; dataset: DatasetSummary; other: DatasetSummary }) {
  const [shown, setShown] = useState(PAGE);
  const pairs = pairsOf(result);
  const total = result.count + result.near.count;
  return (
    <div>
      <div className={classes.pairHead} aria-hidden="true"><span>{datasetTitle(dataset)}</span><span>{datasetTitle(other)}</span></div>
      <ol className={classes.pairs} data-testid="overlap-pairs" aria-label="Pairs of rows">
        {pairs.slice(0, shown).map(({ row, otherRow, near }) => (
          <li key={row}>
            <p className={classes.how}>{near ? 'Nearly the same' : 'The same'}</p>
            <Side dataset={dataset} index={row} onOpen={() => { inspectRow(row); showView(); }} />
            <Side dataset={other} index={otherRow} />
          </li>
        ))}
      </ol>
      {shown < pairs.length
        ? <button type="button" className="link" onClick={() => setShown(shown + PAGE)}>Show {formatWhole(Math.min(PAGE, pairs.length - shown))} more pairs</button>
        : pairs.length < total && <p className="caption">{formatWhole(pairs.length)} of {formatWhole(total)} pairs are listed.</p>}
    </div>
  );
}

function LeaveOut({ result, dataset, other, onDone }: { result: OverlapResult; dataset: DatasetSummary; other: DatasetSummary; onDone: (words: string) => void }) {
  const busy = useFixes((s) => s.busy !== null);
  const error = useFixes((s) => s.error);
  const leave = async (near: boolean, count: number) => {
    if (await leaveOutOverlap(dataset.id, other.id, near)) onDone(`${plural(count, 'row')} left out of training.`);
  };
  const all = result.count + result.near.count;
  return (
    <div className={classes.leave}>
      <div className={classes.buttons}>
        {result.count > 0 && <Button size="xs" disabled={busy} onClick={() => void leave(false, result.count)}>Leave out {plural(result.count, 'row')} that {result.count === 1 ? 'is' : 'are'} the same</Button>}
        {result.near.count > 0 && <Button size="xs" disabled={busy} onClick={() => void leave(true, all)}>Leave out all {plural(all, 'row')}</Button>}
      </div>
      <p className="caption">Your file stays as it is, the record of changes names each row, and you can undo it under Changes.</p>
      {error && <ErrorPanel error={error} />}
    </div>
  );
}

export function OverlapView({ dataset }: { dataset: DatasetSummary }) {
  const datasets = useData((s) => s.datasets) ?? [];
  const version = useData((s) => s.version);
  const { of, result, busy, error } = useOverlap();
  const others = datasets.filter((d) => d.id !== dataset.id);
  const [chosen, setChosen] = useState<string | null>(of?.datasetId === dataset.id ? of.otherId : null);
  const [done, setDone] = useState<string | null>(null);
  const picker = useRef<HTMLInputElement>(null);
  const other = others.find((d) => d.id === chosen) ?? others[0];
  const mine = of?.datasetId === dataset.id && of.otherId === other?.id;
  const current = mine && of.version === version;
  const take = async (file: File | undefined) => {
    const id = file && await importOther(file);
    if (!id) return;
    setDone(null);
    setChosen(id);
    void compareWith(dataset.id, id);
  };
  const field = (
    <input
      ref={picker} type="file" hidden aria-label="File to compare with" data-testid="overlap-file"
      onChange={(e) => { void take(e.currentTarget.files?.[0]); e.currentTarget.value = ''; }}
    />
  );
  if (!other) {
    return (
      <>
        {field}
        {error && <ErrorPanel error={error} />}
        <EmptyState title="Nothing to compare with" action={{ label: 'Choose a test file', onClick: () => picker.current?.click() }}>
          What a model is tested on must not be in its training. Choose the test file: it is kept beside these rows, which stay in use.
        </EmptyState>
      </>
    );
  }
  return (
    <div className={classes.overlap} data-testid="overlap">
      {field}
      <div className={classes.choose}>
        <NativeSelect label="Compare with" data={others.map((d) => ({ value: d.id, label: `${datasetTitle(d)}, ${plural(d.rows, 'row')}` }))} value={other.id} onChange={(e) => { setDone(null); setChosen(e.currentTarget.value); }} />
        <Button onClick={() => { setDone(null); void compareWith(dataset.id, other.id); }} disabled={busy !== null} data-testid="compare">Compare</Button>
        <button type="button" className="link" onClick={() => picker.current?.click()}>Choose another file</button>
      </div>
      {busy && <ProgressRow name={`Comparing with ${datasetTitle(other)}`} progress={busy.progress} startedAt={busy.startedAt} onCancel={cancelCompare} />}
      {error && <ErrorPanel error={error} action={{ onClick: () => void compareWith(dataset.id, other.id) }} />}
      {done && <Note kind="notice" title={done} testId="overlap-done">Undo it under Changes.</Note>}
      {!done && mine && result && !current && <p className="caption">The rows have changed since. Compare again.</p>}
      {!done && current && result && (
        <>
          <p className={classes.words} data-testid="overlap-words">{overlapWords(result, dataset.rows, datasetTitle(other))}</p>
          {result.partial && <p className="caption">There were too many alike to compare all of them: more may ask nearly the same.</p>}
          {result.count + result.near.count > 0 && (
            <>
              <LeaveOut result={result} dataset={dataset} other={other} onDone={setDone} />
              <Pairs key={`${other.id} ${version}`} result={result} dataset={dataset} other={other} />
            </>
          )}
        </>
      )}
      {!of && !busy && !error && <p className="caption">Finds rows whose question the other file asks too: word for word but for case and spacing, and nearly so, by shared runs of three words.</p>}
    </div>
  );
}
