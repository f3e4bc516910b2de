/** Asks once, because a deleted run cannot come back; names what goes. */
import { Button } from '@mantine/core';
import { deleteRuns } from '../../stores/runs.ts';
import type { RunSummary } from '../../stores/types.ts';
import { Dialog } from '../components/Dialog.tsx';
import { plural } from '../format.ts';

export function DeleteRunsDialog({ runs, onClose }: { runs: RunSummary[]; onClose: () => void }) {
  const count = plural(runs.length, 'run');
  const adapters = runs.filter((r) => r.step > 0).length;
  return (
    <Dialog onClose={onClose} title={`Delete ${runs.length === 1 ? runs[0]!.name : count}?`} size={440}>
      <p>{adapters ? `${plural(adapters, 'adapter')}, with curves and checkpoints, leave this browser for good. Data stays.` : 'Its curves and settings leave this browser for good. Data stays.'}</p>
      <div style={{ display: 'flex', justifyContent: 'flex-end', gap: 8, marginTop: 16 }}>
        <Button onClick={onClose}>Keep</Button>
        <Button className="danger" onClick={() => { onClose(); void deleteRuns(runs.map((r) => r.id)); }} data-testid="confirm-delete">Delete {count}</Button>
      </div>
    </Dialog>
  );
}
