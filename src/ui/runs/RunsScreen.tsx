/** Past runs: reopen, resume, rename, share, delete. */
import { Button, Checkbox } from '@mantine/core';
import { useEffect, useState } from 'react';
import { runIsLive, useRun } from '../../stores/run.ts';
import { refreshRuns, useRuns } from '../../stores/runs.ts';
import { goTo } from '../../stores/session.ts';
import type { RunSummary } from '../../stores/types.ts';
import { EmptyState } from '../components/EmptyState.tsx';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { ScreenHead } from '../components/ScreenHead.tsx';
import { plural } from '../format.ts';
import { DeleteRunsDialog } from './DeleteRunsDialog.tsx';
import { RunRow } from './RunRow.tsx';
import classes from './Runs.module.css';

function useChosen(runs: RunSummary[]) {
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  const chosen = runs.filter((r) => ids.has(r.id));
  const toggle = (id: string, on: boolean) => setIds((old) => {
    const next = new Set(old);
    if (on) next.add(id);
    else next.delete(id);
    return next;
  });
  return { chosen, toggle, all: (on: boolean) => setIds(new Set(on ? runs.map((r) => r.id) : [])) };
}

function List({ runs }: { runs: RunSummary[] }) {
  const { chosen, toggle, all } = useChosen(runs);
  const [deleting, setDeleting] = useState<RunSummary[] | null>(null);
  const liveId = useRun((s) => (runIsLive(s) ? s.run?.id ?? null : null));
  const deletable = chosen.filter((r) => r.id !== liveId);
  return (
    <>
      <div className={classes.tools}>
        <Checkbox
          size="xs" label={chosen.length ? `${plural(chosen.length, 'run')} chosen` : 'Choose all'} checked={chosen.length === runs.length}
          indeterminate={chosen.length > 0 && chosen.length < runs.length} onChange={(e) => all(e.currentTarget.checked)}
        />
        {deletable.length > 0 && <Button size="xs" className="danger" onClick={() => setDeleting(deletable)} data-testid="delete-runs">Delete {plural(deletable.length, 'run')}</Button>}
      </div>
      <ul className={classes.list} data-testid="runs-list">
        {runs.map((run) => (
          <RunRow key={run.id} run={run} live={run.id === liveId} chosen={chosen.includes(run)} onChoose={(on) => toggle(run.id, on)} onDelete={() => setDeleting([run])} />
        ))}
      </ul>
      {deleting && <DeleteRunsDialog runs={deleting} onClose={() => setDeleting(null)} />}
    </>
  );
}

export default function RunsScreen() {
  const { runs, error } = useRuns();
  useEffect(() => { void refreshRuns(); }, []);
  return (
    <>
      <ScreenHead title="Runs" facts={runs?.length ? `${plural(runs.length, 'run')} in this browser, newest first.` : 'Runs stay in this browser.'} />
      {error && <div className={classes.block}><ErrorPanel error={error} action={{ onClick: () => void refreshRuns() }} /></div>}
      {runs !== null && (runs.length > 0 ? <List runs={runs} /> : (
        <EmptyState title="No runs yet" action={{ label: 'Go to Recipe', onClick: () => goTo('recipe') }}>
          A run appears here when training starts, with its curves and its recipe.
        </EmptyState>
      ))}
    </>
  );
}
