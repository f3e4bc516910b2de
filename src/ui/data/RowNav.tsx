/** Which row is inspected: previous, number, next; inside the rows that are searched or filtered for, where some are. */
import { ActionIcon, NumberInput } from '@mantine/core';
import { useCallback } from 'react';
import { lastRow, useData } from '../../stores/data.ts';
import { usePlan } from '../../stores/plan.ts';
import { goToRow, moveRow } from '../../stores/rowPlace.ts';
import { isNarrowed, showAllRows, useRows } from '../../stores/rowView.ts';
import type { DatasetSummary } from '../../stores/types.ts';
import { IconChevronLeft, IconChevronRight } from '../icons.ts';
import { formatWhole } from '../format.ts';
import { useSingleKeys } from '../shell/useShortcuts.ts';
import classes from './Data.module.css';
import { viewTitle } from './rows/words.ts';

/** What the rows are narrowed to, which of them this is, and the way back to all. */
export function Narrowed() {
  const { view, shown, place } = useRows();
  const findings = usePlan((s) => s.report.value?.findings ?? null);
  if (!shown || !isNarrowed(view)) return null;
  return (
    <p className={`caption ${classes.narrowed}`} data-testid="narrowed">
      {viewTitle(view, findings ?? [])}: {place === null ? `${formatWhole(shown.count)} rows` : `${formatWhole(place + 1)} of ${formatWhole(shown.count)}`}{' '}
      <button type="button" className="link" onClick={showAllRows}>Show all rows</button>
    </p>
  );
}

export function RowNav({ dataset }: { dataset: DatasetSummary }) {
  const row = useData((s) => s.row);
  const { place, shown } = useRows();
  useSingleKeys(useCallback((key) => {
    if (key !== '[' && key !== ']') return false;
    void moveRow(key === '[' ? -1 : 1);
    return true;
  }, []));
  const last = lastRow(dataset);
  const inView = place !== null && shown !== null;
  return (
    <div className={classes.nav}>
      <span className="dim" aria-hidden="true">Row</span>
      <ActionIcon size={30} aria-label="Previous row" onClick={() => void moveRow(-1)} disabled={inView ? place === 0 : row === 0}><IconChevronLeft size={18} /></ActionIcon>
      <NumberInput
        aria-label="Row" w={62} size="xs" min={1} max={last + 1} allowDecimal={false} allowNegative={false} value={row + 1} data-testid="row-number"
        onChange={(value) => { if (typeof value === 'number' && value >= 1 && value <= last + 1 && value !== row + 1) goToRow(value - 1); }}
      />
      <span className={`dim ${classes.of}`}>of {formatWhole(last + 1)}</span>
      <ActionIcon size={30} aria-label="Next row" onClick={() => void moveRow(1)} disabled={inView ? place >= shown.count - 1 : row >= last}><IconChevronRight size={18} /></ActionIcon>
    </div>
  );
}
