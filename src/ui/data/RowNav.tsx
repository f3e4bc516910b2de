/** Which row is inspected: previous, number, next; inside a finding when one is open. */
import { ActionIcon, NumberInput } from '@mantine/core';
import { useCallback } from 'react';
import { clearFilter, moveRow, setRow, useData } from '../../stores/data.ts';
import { IconChevronLeft, IconChevronRight } from '../icons.ts';
import { formatWhole } from '../format.ts';
import { useSingleKeys } from '../shell/useShortcuts.ts';
import classes from './Data.module.css';

export function RowNav({ rows }: { rows: number }) {
  const row = useData((s) => s.row);
  const filter = useData((s) => s.filter);
  useSingleKeys(useCallback((key) => {
    if (key === '[') moveRow(-1);
    else if (key === ']') moveRow(1);
    else return false;
    return true;
  }, []));
  const place = filter ? filter.rows.indexOf(row) : -1;
  return (
    <div className={classes.nav}>
      {filter && (
        <p className="caption">
          {filter.title}{place >= 0 ? `: ${formatWhole(place + 1)} of ${formatWhole(filter.rows.length)}` : ''}{' '}
          <button type="button" className="link" onClick={clearFilter}>Show all rows</button>
        </p>
      )}
      <span className="dim" aria-hidden="true">Row</span>
      <ActionIcon size={30} aria-label="Previous row" onClick={() => moveRow(-1)} disabled={filter ? place === 0 : row === 0}><IconChevronLeft size={18} /></ActionIcon>
      <NumberInput
        aria-label="Row" w={62} size="xs" min={1} max={rows} allowDecimal={false} allowNegative={false} value={row + 1} data-testid="row-number"
        onChange={(value) => { if (typeof value === 'number' && value >= 1 && value <= rows) setRow(value - 1); }}
      />
      <span className={`dim ${classes.of}`}>of {formatWhole(rows)}</span>
      <ActionIcon size={30} aria-label="Next row" onClick={() => moveRow(1)} disabled={filter ? place === filter.rows.length - 1 : row >= rows - 1}><IconChevronRight size={18} /></ActionIcon>
    </div>
  );
}
