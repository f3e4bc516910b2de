/** A chart's numbers. */
import classes from './Chart.module.css';

export interface TableData { columns: string[]; rows: string[][] }

export function ChartTable({ data, label, height }: { data: TableData; label: string; height: number }) {
  return (
    // A box that scrolls must take the keyboard.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={classes.tableBox} style={{ height }} tabIndex={0} role="region" aria-label={`${label} as a table`}>
      <table>
        <thead><tr>{data.columns.map((c) => <th key={c} scope="col">{c}</th>)}</tr></thead>
        <tbody>{data.rows.map((row) => <tr key={row[0]}>{row.map((cell, i) => <td key={data.columns[i]}>{cell}</td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}
