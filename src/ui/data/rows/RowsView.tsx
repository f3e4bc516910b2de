/** The Table view: search, filters, how many rows they leave, the table, and the row that is open below it. */
import { Button, NativeSelect } from '@mantine/core';
import { useCallback, useEffect, useState } from 'react';
import { useData } from '../../../stores/data.ts';
import { usePlan } from '../../../stores/plan.ts';
import { addRow, cancelRowWork, dismissEditError, dismissLastEdit, undoEdit, useEdits, writeRow } from '../../../stores/rowEdits.ts';
import { moveRow } from '../../../stores/rowPlace.ts';
import { cancelRows, isNarrowed, openRows, showAllRows, sortBy, useRows, type ShownView } from '../../../stores/rowView.ts';
import type { DatasetSummary } from '../../../stores/types.ts';
import { ErrorPanel } from '../../components/ErrorPanel.tsx';
import { Note } from '../../components/Note.tsx';
import { ProgressRow } from '../../components/ProgressRow.tsx';
import { useSingleKeys } from '../../shell/useShortcuts.ts';
import { TableView } from '../TableView.tsx';
import { ORDERS } from './columns.ts';
import { Filters } from './Filters.tsx';
import { useLocked } from './locked.ts';
import { RowActions } from './RowActions.tsx';
import { RowPanel } from './RowPanel.tsx';
import classes from './Rows.module.css';
import { SearchBox } from './SearchBox.tsx';
import { TurnForm } from './TurnForm.tsx';
import { NEW_ROW } from './turns.ts';
import { countWords, viewTitle } from './words.ts';

/** How many rows there are, how far a search is, and the way out of both. */
function CountLine({ shown }: { shown: ShownView }) {
  const view = useRows((s) => s.view);
  const search = useRows((s) => s.search);
  const narrowed = isNarrowed(view);
  return (
    <div className={classes.countLine}>
      {/* The end of a search is announced; each step of it would talk over everything else. */}
      <p data-testid="row-count" data-searching={search?.state === 'searching' || undefined}><strong>{countWords({ ...shown, narrowed, search })}</strong></p>
      {search?.state === 'searching' && <Button size="xs" onClick={cancelRows}>Cancel the search</Button>}
      {narrowed && shown.count > 0 && search?.state !== 'searching' && <button type="button" className="link" onClick={showAllRows}>Show all rows</button>}
      {shown.stale && view.where.finding && <span className="caption">Findings are those of before the last change.</span>}
    </div>
  );
}

/** The order of rows where there are no column heads to press. */
function Order() {
  const { by, descending } = useRows((s) => s.view.sort);
  return (
    <NativeSelect
      size="xs" label="Order" className={classes.order} data={ORDERS.map(({ value, label }) => ({ value, label }))} value={`${by}${descending ? '-' : ''}`}
      onChange={(e) => {
        const order = ORDERS.find((o) => o.value === e.currentTarget.value);
        if (order) sortBy(order.by, order.descending);
      }}
    />
  );
}

function LastEdit() {
  const last = useEdits((s) => s.last);
  const busy = useEdits((s) => s.busy !== null);
  const locked = useLocked();
  if (!last) return null;
  return <Note kind="notice" title={`${last.words}.`} testId="last-edit" action={busy || locked !== null ? undefined : { label: 'Undo', onClick: () => void undoEdit(last) }} onDismiss={dismissLastEdit} />;
}

function Nothing({ dataset, narrowed }: { dataset: DatasetSummary; narrowed: boolean }) {
  const locked = useLocked();
  const view = useRows((s) => s.view);
  const findings = usePlan((s) => s.report.value?.findings);
  return (
    <div className={classes.nothing}>
      <p>{narrowed ? `No row matches. Asked for: ${viewTitle(view, findings ?? [])}` : `${dataset.name} has no rows yet.`}</p>
      {narrowed ? <Button size="xs" onClick={showAllRows}>Show all rows</Button> : <Button size="xs" disabled={locked !== null} onClick={() => writeRow('new')}>Add a row</Button>}
    </div>
  );
}

export function RowsView({ dataset }: { dataset: DatasetSummary }) {
  const { datasetId, shown, busy, progress, startedAt, error, search, looked, view } = useRows();
  const version = useData((s) => s.version);
  const writing = useEdits((s) => s.writing);
  const editError = useEdits((s) => s.error);
  const work = useEdits((s) => s.busy);
  const locked = useLocked();
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (useRows.getState().datasetId !== dataset.id) void openRows();
  }, [dataset.id, version]);
  useSingleKeys(useCallback((key) => {
    if ((key !== '[' && key !== ']') || useEdits.getState().writing !== null) return false;
    void moveRow(key === '[' ? -1 : 1);
    return true;
  }, []));
  const close = () => {
    setOpen(false);
    document.querySelector<HTMLElement>('[data-testid=rows-table]')?.focus({ preventScroll: true });
  };
  const mine = datasetId === dataset.id ? shown : null;
  const opened = writing !== null && writing !== 'new' ? writing : open && writing === null ? looked : null;
  return (
    <div className={classes.view} aria-busy={busy}>
      <div className={classes.narrow}>
        <SearchBox />
        <Filters dataset={dataset} />
        <Order />
      </div>
      {mine && (
        <div className={classes.line}>
          <CountLine shown={mine} />
          <RowActions dataset={dataset} shown={mine} />
        </div>
      )}
      <LastEdit />
      {busy && <ProgressRow name="Looking at every row" progress={progress} startedAt={startedAt} onCancel={cancelRows} />}
      {work?.what === 'export' && <ProgressRow name="Writing the file" progress={work.progress} startedAt={work.startedAt} onCancel={cancelRowWork} />}
      {error && <ErrorPanel error={error} action={{ label: 'Show all rows', onClick: showAllRows }} />}
      {editError && <ErrorPanel error={editError} action={{ label: 'Dismiss', onClick: dismissEditError }} />}
      {writing === 'new' && (
        <section className={classes.panel} aria-label="New row">
          <h2>New row</h2>
          <TurnForm title="New row" start={NEW_ROW} busy={work !== null} locked={locked} saveLabel="Add row" onCancel={() => writeRow(null)} onSave={(messages) => void addRow(messages)} />
        </section>
      )}
      {mine && mine.count === 0 && search?.state !== 'searching' && !error && writing === null && <Nothing dataset={dataset} narrowed={isNarrowed(view)} />}
      {mine && mine.count > 0 && <TableView dataset={dataset} shown={mine} short={opened !== null} onOpen={() => setOpen(true)} />}
      {opened && mine && <RowPanel dataset={dataset} row={opened} onClose={close} />}
    </div>
  );
}
