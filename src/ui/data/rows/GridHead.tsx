/** Heads of the columns: a press sorts, a second one the other way round. */
import { sortBy, useRows } from '../../../stores/rowView.ts';
import { IconArrowDown, IconArrowUp } from '../../icons.ts';
import { COLUMNS, type Column } from './columns.ts';
import classes from './Rows.module.css';

function Head({ column }: { column: Column }) {
  const { by, descending } = useRows((s) => s.view.sort);
  const sorted = column.sort !== undefined && column.sort === by;
  const Arrow = descending ? IconArrowDown : IconArrowUp;
  return (
    <div role="columnheader" data-column={column.id} className={classes.cell} {...(column.sort ? { 'aria-sort': sorted ? (descending ? 'descending' as const : 'ascending' as const) : 'none' as const } : {})}>
      {column.sort
        ? (
          <button type="button" className={classes.sort} onClick={() => sortBy(column.sort!)} title={column.label}>
            {column.label ? <><span aria-hidden="true">{column.title}</span><span className="hidden">{column.label}</span></> : column.title}
            {sorted && <Arrow size={13} aria-hidden="true" />}
          </button>
        )
        : column.title}
    </div>
  );
}

export const GridHead = () => (
  <div role="rowgroup" className={classes.gridHead}>
    <div role="row" aria-rowindex={1} className={classes.gridRow}>
      {COLUMNS.map((column) => <Head key={column.id} column={column} />)}
    </div>
  </div>
);
