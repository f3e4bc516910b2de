/** A new, empty set: its name, then rows are typed into it one by one. */
import { Button, TextInput } from '@mantine/core';
import { useState } from 'react';
import { createSet, dismissEditError, useEdits } from '../../../stores/rowEdits.ts';
import { goTo } from '../../../stores/session.ts';
import { Dialog } from '../../components/Dialog.tsx';
import { ErrorPanel } from '../../components/ErrorPanel.tsx';
import classes from './Rows.module.css';

export function NewSetDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('My rows');
  const [busy, setBusy] = useState(false);
  const error = useEdits((s) => s.error);
  const close = () => {
    dismissEditError();
    onClose();
  };
  const create = async () => {
    setBusy(true);
    const done = await createSet(name.trim());
    setBusy(false);
    if (!done) return;
    onClose();
    goTo('data');
  };
  return (
    <Dialog onClose={close} title="New empty set" size={440}>
      <form onSubmit={(e) => { e.preventDefault(); if (name.trim() !== '' && !busy) void create(); }}>
        <TextInput label="Name" description="Rows are typed turn by turn on the Data step." value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus error={name.trim() === '' ? 'A set needs a name' : undefined} maxLength={120} />
        {error && <ErrorPanel error={error} />}
        <div className={classes.dialogEnd}>
          <Button onClick={close}>Cancel</Button>
          <Button type="submit" variant="filled" disabled={name.trim() === '' || busy}>Create the set</Button>
        </div>
      </form>
    </Dialog>
  );
}
