/** Fixes in force, each with Undo, and the record of every row that was dropped, cut or changed. */
import { Button } from '@mantine/core';
import { useEffect, useRef } from 'react';
import { dismissFixError, loadFixes, recordOfChanges, undoFix, useFixes } from '../../stores/dataFixes.ts';
import { useModel } from '../../stores/model.ts';
import type { DatasetSummary, FixSummary } from '../../stores/types.ts';
import { download } from '../components/download.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { formatDate, plural } from '../format.ts';
import classes from './Data.module.css';

export function Fixes({ dataset }: { dataset: DatasetSummary }) {
  const all = useFixes();
  const ready = useModel((s) => s.status === 'ready');
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => void loadFixes(dataset.id), [dataset.id]);
  const mine = all.datasetId === dataset.id;
  const fixes = mine ? all.fixes : [];
  const undo = async (fix: FixSummary) => {
    // The button that had the focus is gone with its fix.
    if (await undoFix(dataset.id, fix)) heading.current?.focus({ preventScroll: true });
  };
  const save = async (format: 'text' | 'json') => {
    const file = await recordOfChanges(dataset.id, format);
    if (file) download(file);
  };
  return (
    <section data-testid="fixes">
      <div className={classes.sectionHead}>
        <h2 ref={heading} tabIndex={-1}>{fixes.length ? `${plural(fixes.length, 'fix', 'fixes')} applied` : 'Changes'}</h2>
      </div>
      {mine && all.error && <ErrorPanel error={all.error} action={{ label: 'Dismiss', onClick: dismissFixError }} />}
      {fixes.length > 0 && (
        <ul className={classes.stored}>
          {fixes.map((fix) => (
            <li key={fix.id}>
              <div>
                <p>{fix.title}</p>
                <p className="caption">{plural(fix.rows, 'row')} {fix.action === 'drop' ? 'left out' : 'trimmed'} · {formatDate(fix.appliedAt)}</p>
              </div>
              <Button size="xs" variant="subtle" disabled={all.busy !== null} onClick={() => void undo(fix)} aria-label={`Undo: ${fix.title}`}>Undo</Button>
            </li>
          ))}
        </ul>
      )}
      <p className="caption" style={{ marginTop: 8 }}>
        {ready ? 'The record names every row that import, fixes or training drop, cut or change, by its line.' : 'The record names every row that import or fixes drop or change, by its line. With a model loaded, also what training drops and cuts.'}
      </p>
      <div className={classes.record} role="group" aria-label="Download the record of changes">
        <Button size="xs" disabled={all.busy !== null} onClick={() => void save('text')} aria-label="Download the record of changes as text">Download the record of changes</Button>
        <Button size="xs" disabled={all.busy !== null} onClick={() => void save('json')} aria-label="Download the record of changes as JSON">JSON</Button>
      </div>
    </section>
  );
}
