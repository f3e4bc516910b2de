/** Two charts of the rows as they will be trained: the share of each that is trained, and groups that repeat each other. */
import { useElementSize } from '@mantine/hooks';
import { useState, type ReactNode } from 'react';
import { Bar, BarChart, LabelList, XAxis, YAxis } from 'recharts';
import { setDataView } from '../../stores/data.ts';
import { usePlan } from '../../stores/plan.ts';
import { goToRow } from '../../stores/rowPlace.ts';
import type { DataReport } from '../../stores/types.ts';
import { ChartTable } from '../charts/ChartTable.tsx';
import { formatCount, formatWhole, plural } from '../format.ts';
import classes from './Data.module.css';
import { showView } from './showView.ts';

const HEIGHT = 132;
const MARGIN = { top: 18, right: 0, bottom: 0, left: 0 };
const TICK = { fontSize: 11.5, fill: 'var(--etude-faint)' };
const LINE = { stroke: 'var(--etude-control)' };

export interface ShapeBar { name: string; rows: number }

/** Tenths in words: "0–10", … "90–100" percent. Pure. */
export const shareBars = (shares: readonly number[]): ShapeBar[] => shares.map((rows, i) => ({ name: `${10 * i}–${10 * (i + 1)}`, rows }));

const SIZES: [name: string, from: number, to: number][] = [['2', 2, 2], ['3', 3, 3], ['4–5', 4, 5], ['6–10', 6, 10], ['11–50', 11, 50], ['over 50', 51, Infinity]];

/** Groups by how many rows they have. Pure. */
export const clusterBars = (sizes: DataReport['charts']['clusters']['sizes']): ShapeBar[] =>
  SIZES.map(([name, from, to]) => ({ name, rows: sizes.reduce((sum, [size, groups]) => sum + (size >= from && size <= to ? groups : 0), 0) }));

interface ChartProps { title: string; aside: string; words: string; bars: ShapeBar[]; colour: string; columns: [string, string]; testId: string; children?: ReactNode }

function Chart({ title, aside, words, bars, colour, columns, testId, children }: ChartProps) {
  const { ref, width } = useElementSize();
  const [asTable, setAsTable] = useState(false);
  return (
    <section ref={ref} data-testid={testId}>
      <div className={classes.sectionHead}>
        <h2>{title}</h2>
        <button type="button" className="link" onClick={() => setAsTable(!asTable)}>{asTable ? 'Show as chart' : 'Show as table'}</button>
      </div>
      {asTable
        ? <ChartTable label={title} height={HEIGHT + 40} data={{ columns, rows: bars.map((bar) => [bar.name, formatCount(bar.rows)]) }} />
        : (
          <div role="img" aria-label={words} style={{ height: HEIGHT, overflow: 'hidden' }}>
            {width > 0 && (
              <BarChart width={width} height={HEIGHT} data={bars} margin={MARGIN} barCategoryGap={2} accessibilityLayer={false}>
                <XAxis dataKey="name" tick={TICK} tickLine={false} axisLine={LINE} interval="preserveStartEnd" />
                <YAxis hide domain={[0, 'dataMax']} />
                <Bar dataKey="rows" fill={colour} isAnimationActive={false}>
                  {bars.length < 8 && <LabelList dataKey="rows" position="top" formatter={(rows) => (Number(rows) > 0 ? formatCount(Number(rows)) : '')} style={TICK} />}
                </Bar>
              </BarChart>
            )}
          </div>
        )}
      <p className="caption">{aside}</p>
      {children}
    </section>
  );
}

function Largest({ largest }: { largest: DataReport['charts']['clusters']['largest'] }) {
  const look = (row: number) => {
    setDataView('mask');
    goToRow(row);
    showView();
  };
  return (
    <ul className="caption" style={{ marginTop: 6 }}>
      {largest.slice(0, 3).map(({ size, rows }) => (
        <li key={rows[0]}>
          {plural(size, 'row')} alike:{' '}
          {rows.slice(0, 3).map((row, i) => <span key={row}>{i > 0 && ', '}<button type="button" className="link" aria-label={`Look at row ${row + 1}, one of ${size} alike`} onClick={() => look(row)}>{formatWhole(row + 1)}</button></span>)}
          {size > 3 && ' …'}
        </li>
      ))}
    </ul>
  );
}

export function RowShapes() {
  const charts = usePlan((s) => s.report.value?.charts);
  if (!charts) return null;
  const shares = shareBars(charts.shares);
  const clusters = clusterBars(charts.clusters.sizes);
  const groups = clusters.reduce((sum, bar) => sum + bar.rows, 0);
  const wordsOf = (bars: ShapeBar[], unit: string): string => bars.filter((bar) => bar.rows > 0).map((bar) => `${bar.name}${unit} ${formatCount(bar.rows)}`).join(', ');
  return (
    <>
      {charts.shares.some((rows) => rows > 0) && (
        <Chart
          title="Trained share of a row" testId="trained-share" bars={shares} colour="var(--etude-accent)" columns={['Percent', 'Rows']}
          words={`Rows by the share of their tokens that is trained: ${wordsOf(shares, ' %')}.`} aside="Rows by percent of their tokens that are trained. Far left: long prompts, short answers."
        />
      )}
      {groups > 0 && (
        <Chart
          title="Repeated rows" testId="clusters" bars={clusters} colour="var(--etude-aux)" columns={['Rows alike', 'Groups']}
          words={`Groups of rows that repeat each other, by their size: ${wordsOf(clusters, ' rows')}.`} aside={`${plural(groups, 'group')} of rows that are the same, exactly or nearly, by how many rows each has.`}
        >
          <Largest largest={charts.clusters.largest} />
        </Chart>
      )}
    </>
  );
}
