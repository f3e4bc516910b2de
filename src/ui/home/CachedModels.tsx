/** Models and datasets of the hub kept in this browser: size, whole or begun, Delete. */
import { Button } from '@mantine/core';
import { useEffect, useState } from 'react';
import { deleteCached, listCached, useHub } from '../../stores/hub.ts';
import { useModel } from '../../stores/model.ts';
import type { CachedModel } from '../../stores/types.ts';
import { Dialog } from '../components/Dialog.tsx';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { formatBytes, formatDate } from '../format.ts';
import { pickModel } from './ModelRow.tsx';
import classes from './ModelShelf.module.css';

function ConfirmDelete({ model, onClose }: { model: CachedModel; onClose: () => void }) {
  return (
    <Dialog onClose={onClose} title={`Delete ${model.repo}?`} size={440}>
      <p>{formatBytes(model.bytes)} leave this browser. Using the {model.kind} again means downloading it again.</p>
      <div className={classes.dialogActions}>
        <Button onClick={onClose}>Keep</Button>
        <Button className="danger" onClick={() => { onClose(); void deleteCached(model.repo, model.commit, model.kind); }} data-testid="confirm-delete-model">Delete {formatBytes(model.bytes)}</Button>
      </div>
    </Dialog>
  );
}

export function CachedModels() {
  const { cached, cacheError } = useHub();
  const inUse = useModel((s) => s.summary);
  const [asking, setAsking] = useState<CachedModel | null>(null);
  useEffect(() => { void listCached(); }, []);
  return (
    <section data-testid="cached-models">
      <div className={classes.sectionHead}>
        <h2>Kept in this browser</h2>
        {cached && cached.length > 0 && <span className="caption">{formatBytes(cached.reduce((sum, model) => sum + model.bytes, 0))}</span>}
      </div>
      {cacheError && <ErrorPanel error={cacheError} action={{ label: 'List again', onClick: () => void listCached() }} />}
      {cached?.length === 0 && <p className="dim">No model yet. What you download stays here and loads without the network.</p>}
      <ul className={classes.cached}>
        {cached?.map((model) => (
          <li key={`${model.kind} ${model.repo} ${model.commit}`}>
            <div>
              {model.kind === 'model'
                ? <button type="button" className={`link ${classes.cachedName}`} onClick={() => pickModel(model.repo)}>{model.repo}</button>
                : <span className={classes.cachedName}>{model.repo}</span>}
              <p className="caption">
                {model.kind === 'dataset' ? 'Dataset · ' : ''}{model.kind === 'model' && inUse?.source === 'hub' && inUse.name === model.repo ? 'In use · ' : ''}
                {model.complete ? formatBytes(model.bytes) : `${formatBytes(model.bytes)} of ${formatBytes(model.totalBytes)}, goes on where it stopped`}
                {' · '}{formatDate(model.lastUsedAt)}
              </p>
            </div>
            <Button size="xs" variant="subtle" onClick={() => setAsking(model)} aria-label={`Delete ${model.repo}`}>Delete</Button>
          </li>
        ))}
      </ul>
      {asking && <ConfirmDelete model={asking} onClose={() => setAsking(null)} />}
    </section>
  );
}
