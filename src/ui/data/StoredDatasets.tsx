/** Datasets kept in this browser, with their size; each can be used again or deleted. */
import { Button } from '@mantine/core';
import { useState } from 'react';
import { deleteDataset, selectDataset, useData } from '../../stores/data.ts';
import { runIsLive, useRun } from '../../stores/run.ts';
import type { DatasetSummary } from '../../stores/types.ts';
import { Dialog } from '../components/Dialog.tsx';
import { formatBytes, formatDate, plural } from '../format.ts';
import { datasetTitle } from '../names.ts';
import classes from './Data.module.css';

function ConfirmDelete({ dataset, onClose }: { dataset: DatasetSummary; onClose: () => void }) {
  return (
    <Dialog onClose={onClose} title={`Delete ${datasetTitle(dataset)}?`} size={440}>
      <p>{plural(dataset.rows, 'row')}, {formatBytes(dataset.bytes)}, leave this browser. Your file stays where it is. Runs trained on it cannot be resumed.</p>
      <div style={{ display: 'flex', justifyContent: 'flex-end', gap: 8, marginTop: 16 }}>
        <Button onClick={onClose}>Keep</Button>
        <Button className="danger" onClick={() => { onClose(); void deleteDataset(dataset.id); }} data-testid="confirm-delete">Delete {plural(dataset.rows, 'row')}</Button>
      </div>
    </Dialog>
  );
}

export function StoredDatasets() {
  const datasets = useData((s) => s.datasets);
  const currentId = useData((s) => s.currentId);
  const training = useRun(runIsLive);
  const [asking, setAsking] = useState<DatasetSummary | null>(null);
  if (!datasets?.length) return null;
  return (
    <section data-testid="stored-datasets">
      <div className={classes.sectionHead}>
        <h2>Kept in this browser</h2>
        <span className="caption">{formatBytes(datasets.reduce((sum, d) => sum + d.bytes, 0))}</span>
      </div>
      <ul className={classes.stored}>
        {datasets.map((d) => (
          <li key={d.id}>
            <div>
              <button type="button" className={classes.name} aria-current={d.id === currentId || undefined} onClick={() => selectDataset(d.id)}>{datasetTitle(d)}</button>
              <p className="caption">{d.id === currentId ? 'In use · ' : ''}{plural(d.rows, 'row')} · {formatBytes(d.bytes)} · {formatDate(d.createdAt)}</p>
            </div>
            <Button size="xs" variant="subtle" disabled={training && d.id === currentId} onClick={() => setAsking(d)} aria-label={`Delete ${datasetTitle(d)}`}>Delete</Button>
          </li>
        ))}
      </ul>
      {asking && <ConfirmDelete dataset={asking} onClose={() => setAsking(null)} />}
    </section>
  );
}
