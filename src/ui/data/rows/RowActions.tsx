/** What can be done with the rows that are shown: added to, split, carried off, deleted. */
import { Button } from '@mantine/core';
import { useState } from 'react';
import { deleteRows, exportRows, useEdits, writeRow } from '../../../stores/rowEdits.ts';
import { isNarrowed, useRows, type ShownView } from '../../../stores/rowView.ts';
import type { DatasetSummary } from '../../../stores/types.ts';
import { Dialog } from '../../components/Dialog.tsx';
import { download } from '../../components/download.ts';
import { plural } from '../../format.ts';
import { useLocked } from './locked.ts';
import classes from './Rows.module.css';
import { SplitDialog } from './SplitDialog.tsx';

const WRITING = 'Save or cancel the row that is open before adding another.';

function ConfirmDelete({ shown, all, onClose }: { shown: ShownView; all: boolean; onClose: () => void }) {
  const rows = plural(shown.count, 'row');
  return (
    <Dialog onClose={onClose} title={`Delete ${rows}?`} size={440}>
      <p>{all ? `All ${rows} of this set` : `The ${rows} that are shown`} will no longer be trained. Your file stays as it is, the record of changes names each row, and you can undo this.</p>
      <div className={classes.dialogEnd}>
        <Button onClick={onClose}>Keep</Button>
        <Button className="danger" data-testid="confirm-delete-rows" onClick={() => { onClose(); void deleteRows({ viewId: shown.viewId }); }}>Delete {rows}</Button>
      </div>
    </Dialog>
  );
}

export function RowActions({ dataset, shown }: { dataset: DatasetSummary; shown: ShownView }) {
  const narrowed = useRows((s) => isNarrowed(s.view));
  const searching = useRows((s) => s.search?.state === 'searching');
  const busy = useEdits((s) => s.busy !== null);
  const writing = useEdits((s) => s.writing !== null);
  const locked = useLocked();
  const [open, setOpen] = useState<'split' | 'delete' | null>(null);
  const close = () => setOpen(null);
  const save = async () => {
    const file = await exportRows();
    if (file) download(file);
  };
  const off = busy || locked !== null;
  return (
    <div className={classes.actions} role="group" aria-label="What to do with rows">
      <Button size="xs" disabled={off || writing} onClick={() => writeRow('new')}>Add row</Button>
      <Button size="xs" disabled={off || dataset.rows < 2} onClick={() => setOpen('split')}>Split</Button>
      <Button size="xs" disabled={busy || searching || shown.count === 0} onClick={() => void save()} aria-label={`Export what you see, ${plural(shown.count, 'row')}, as JSONL`}>Export what you see</Button>
      {narrowed && shown.count > 0 && !searching && <Button size="xs" className="danger" disabled={off} onClick={() => setOpen('delete')}>Delete {plural(shown.count, 'row')}</Button>}
      {(locked !== null || writing) && <p className="caption">{locked ?? WRITING}</p>}
      {open === 'split' && <SplitDialog dataset={dataset} onClose={close} />}
      {open === 'delete' && <ConfirmDelete shown={shown} all={shown.count === dataset.rows} onClose={close} />}
    </div>
  );
}
