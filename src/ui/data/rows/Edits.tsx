/** What was done to rows by hand, the last first, each with Undo. */
import { Button } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { loadEdits, undoEdit, useEdits } from '../../../stores/rowEdits.ts';
import type { DatasetSummary, EditSummary } from '../../../stores/types.ts';
import { formatDate, formatWhole, plural } from '../../format.ts';
import data from '../Data.module.css';
import { useLocked } from './locked.ts';

/** More than these are one press away. */
const FIRST = 5;

export function Edits({ dataset }: { dataset: DatasetSummary }) {
  const all = useEdits((s) => (s.datasetId === dataset.id ? s.edits : null));
  const busy = useEdits((s) => s.busy !== null);
  const locked = useLocked();
  const [open, setOpen] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => void loadEdits(dataset.id), [dataset.id]);
  if (!all?.length) return null;
  const shown = open ? all.toReversed() : all.toReversed().slice(0, FIRST);
  const undo = async (edit: EditSummary) => {
    // The button that had the focus is gone with its edit.
    if (await undoEdit(edit)) heading.current?.focus({ preventScroll: true });
  };
  return (
    <section data-testid="edits">
      <div className={data.sectionHead}><h2 ref={heading} tabIndex={-1}>{plural(all.length, 'edit')} by hand</h2></div>
      <ul className={data.stored}>
        {shown.map((edit) => (
          <li key={edit.id}>
            <div>
              <p>{edit.words}</p>
              <p className="caption">{formatDate(edit.at)}</p>
            </div>
            <Button size="xs" variant="subtle" disabled={busy || locked !== null} onClick={() => void undo(edit)} aria-label={`Undo: ${edit.words}`}>Undo</Button>
          </li>
        ))}
      </ul>
      {locked && <p className="caption">{locked}</p>}
      {all.length > FIRST && <button type="button" className="link" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? 'Show fewer' : `Show the other ${formatWhole(all.length - FIRST)}`}</button>}
    </section>
  );
}
