/** Rows pasted or typed by hand; what they are is told by what they hold. */
import { Button, Textarea } from '@mantine/core';
import { useState } from 'react';
import { importText } from '../../stores/data.ts';
import { goTo } from '../../stores/session.ts';
import { Dialog } from '../components/Dialog.tsx';

const EXAMPLE = '{"prompt": "What is the capital of Norway?", "completion": "Oslo."}';

export function PasteDialog({ onClose, onNewSet }: { onClose: () => void; onNewSet: () => void }) {
  const [text, setText] = useState('');
  const empty = text.trim() === '';
  const use = () => {
    onClose();
    goTo('data');
    void importText(text);
  };
  return (
    <Dialog onClose={onClose} title="Paste or type rows" size={640}>
      <form onSubmit={(e) => { e.preventDefault(); if (!empty) use(); }}>
        <Textarea
          label="Rows" description="One JSON object a line, a JSON list, a table with a line of column names, or plain text."
          placeholder={EXAMPLE} rows={10} value={text} onChange={(e) => setText(e.currentTarget.value)} data-autofocus spellCheck={false}
        />
        <div style={{ display: 'flex', justifyContent: 'flex-end', gap: 8, marginTop: 16 }}>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="filled" disabled={empty}>Use these rows</Button>
        </div>
        {empty && <p className="caption" style={{ textAlign: 'right', marginTop: 4 }}>Paste or type at least one row first</p>}
        <p className="caption" style={{ marginTop: 12 }}>
          One by one, turn by turn? <button type="button" className="link" onClick={() => { onClose(); onNewSet(); }}>Begin a new empty set</button>
        </p>
      </form>
    </Dialog>
  );
}
