/** The open row below the table: its turns as they are, its quality part by part, and what can be done with it. */
import { Button } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { inspectRow } from '../../../stores/data.ts';
import { deleteRows, saveRow, useEdits, writeRow } from '../../../stores/rowEdits.ts';
import { previewRow } from '../../../stores/rowsCache.ts';
import { useRows } from '../../../stores/rowView.ts';
import type { DatasetSummary, Message, ViewRow } from '../../../stores/types.ts';
import { formatWhole } from '../../format.ts';
import { pointsOf } from '../Advice.tsx';
import { useLocked } from './locked.ts';
import { showView } from '../showView.ts';
import classes from './Rows.module.css';
import { TurnForm } from './TurnForm.tsx';
import { NEW_ROW } from './turns.ts';
import { placeWords, taskName } from './words.ts';

/** Turns of a row; the reason where it cannot be read. */
function useTurns(datasetId: string, row: ViewRow): Message[] | string | null {
  const revision = useRows((s) => s.revision);
  const [made, setMade] = useState<{ index: number; turns: Message[] | string } | null>(null);
  useEffect(() => {
    let current = true;
    void previewRow(datasetId, row.index).then((found) => { if (current) setMade({ index: row.index, turns: 'error' in found ? found.error.what : found }); });
    return () => { current = false; };
  }, [datasetId, row.index, revision]);
  return made?.index === row.index ? made.turns : null;
}

function Turns({ turns }: { turns: Message[] }) {
  return (
    // A list that scrolls must take the keyboard.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <ol className={classes.turns} tabIndex={0} aria-label="Turns of the row">
      {turns.map((message, i) => (
        // oxlint-disable-next-line react/no-array-index-key -- turns that are only shown never change places
        <li key={i}>
          <span className="dim">{message.plain ? 'text' : message.role}</span>
          <div>
            <p>{message.content || <span className="faint">empty</span>}</p>
            {message.toolCalls?.map((call, n) => (
              // oxlint-disable-next-line react/no-array-index-key -- calls that are only shown never change places
              <p key={n} className="mono">{call.name}({typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments)})</p>
            ))}
          </div>
        </li>
      ))}
    </ol>
  );
}

function Quality({ row }: { row: ViewRow }) {
  return (
    <dl className={classes.quality}>
      <div><dt>Quality</dt><dd>{row.quality} of 100</dd></div>
      {row.parts.map((part) => <div key={part.name}><dt>{part.name}</dt><dd>{pointsOf(part)}<span className="caption"> {part.words}</span></dd></div>)}
    </dl>
  );
}

export function RowPanel({ dataset, row, onClose }: { dataset: DatasetSummary; row: ViewRow; onClose: () => void }) {
  const turns = useTurns(dataset.id, row);
  const writing = useEdits((s) => s.writing === row);
  const busy = useEdits((s) => s.busy !== null);
  const locked = useLocked();
  const heading = useRef<HTMLHeadingElement>(null);
  const editor = useRef<HTMLButtonElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  const stop = () => {
    writeRow(null);
    // The form had the focus; its button comes back in the next drawing.
    requestAnimationFrame(() => editor.current?.focus());
  };
  return (
    // Escape from anything inside closes it.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <section className={classes.panel} aria-label={`Row ${formatWhole(row.index + 1)}`} data-testid="row-panel" onKeyDown={(e) => { if (e.key === 'Escape' && !writing) onClose(); }}>
      <div className={classes.panelHead}>
        <h2 ref={heading} tabIndex={-1}>{placeWords(row, dataset.files)}</h2>
        <span className="caption">{[taskName(row.task), row.edited && row.line !== 0 && 'edited by hand', row.held && 'held out', row.leftOut && 'left out by a fix'].filter(Boolean).join(' · ')}</span>
        <span className={classes.grow} />
        {!writing && <>
          <Button size="xs" onClick={() => { inspectRow(row.index); showView(); }}>See its tokens</Button>
          <Button size="xs" ref={editor} disabled={busy || locked !== null || turns === null} aria-describedby={locked ? 'row-locked' : undefined} onClick={() => writeRow(row)}>Edit</Button>
          <Button size="xs" className="danger" disabled={busy || locked !== null} aria-describedby={locked ? 'row-locked' : undefined} onClick={() => void deleteRows({ index: row.index })}>Delete row</Button>
          <Button size="xs" variant="subtle" onClick={onClose}>Close</Button>
        </>}
      </div>
      {locked && !writing && <p id="row-locked" className="caption">{locked} It can be edited or deleted afterwards.</p>}
      {typeof turns === 'string' && <p className={classes.problem}>{turns}</p>}
      {writing && turns !== null
        ? <TurnForm title={`Edit row ${formatWhole(row.index + 1)}`} start={Array.isArray(turns) && turns.length > 0 ? turns : NEW_ROW} busy={busy} locked={locked} saveLabel="Save row" onCancel={stop} onSave={(messages) => void saveRow(row.index, messages).then((done) => { if (done) stop(); })} />
        : Array.isArray(turns) && <Turns turns={turns} />}
      {!writing && <Quality row={row} />}
    </section>
  );
}
