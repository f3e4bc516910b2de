/** The list of keys, and the switch that turns the single ones off. */
import { Kbd, Switch } from '@mantine/core';
import { Dialog } from '../components/Dialog.tsx';
import { closeDialog, setSingleKeys, useSession } from '../../stores/session.ts';
import classes from './Dialogs.module.css';

const KEYS: [keys: string[], what: string][] = [
  [['1', '–', '6'], 'Open a step'],
  [['7'], 'Open Runs'],
  [['['], 'Previous row, on Data'],
  [[']'], 'Next row, on Data'],
  [['T'], 'Train or ignore the focused turn, on Data'],
  [['P'], 'Pause or go on, on Train'],
  [['Ctrl', 'Enter'], 'Run the prompt, on Try'],
  [['Esc'], 'Stop the answers, on Try'],
  [['←', '→'], 'Move by a token or a step; Shift by ten, Home and End'],
  [['?'], 'This list'],
];

export function ShortcutsDialog() {
  const open = useSession((s) => s.dialog === 'shortcuts');
  const singleKeys = useSession((s) => s.singleKeys);
  if (!open) return null;
  return (
    <Dialog onClose={closeDialog} title="Keyboard" size={460}>
      <dl className={classes.keys}>
        {KEYS.map(([keys, what]) => (
          <div key={what}>
            <dt>{keys.map((k) => (k === '–' ? <span key={k}>to</span> : <Kbd key={k}>{k}</Kbd>))}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <Switch
        mt={16} label="Single-letter keys" description="Off in fields at all times." checked={singleKeys}
        onChange={(e) => setSingleKeys(e.currentTarget.checked)}
      />
    </Dialog>
  );
}
