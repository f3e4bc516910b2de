/**
 * Room for a chart: heading, one reading line under the pointer or keys, a text summary, and the numbers as a table.
 * Arrow keys move the crosshair by a step, Shift by ten, Home and End to the ends.
 */
import { useElementSize } from '@mantine/hooks';
import { useId, useState, type KeyboardEvent, type PointerEvent, type ReactNode } from 'react';
import classes from './Chart.module.css';
import { ChartTable, type TableData } from './ChartTable.tsx';
import { Y_WIDTH } from './Plot.tsx';

interface ChartFrameProps {
  title: string;
  keys?: ReactNode;
  /** At the right of the heading while nothing is read. */
  aside?: ReactNode;
  summary: string;
  height: number;
  xMax: number;
  lastStep: number;
  /** The step that stands nearest, and what to say of it. */
  read: (step: number) => { step: number; text: string } | null;
  table?: () => TableData;
  children: (size: { width: number; cursor: number | null }) => ReactNode;
  testId: string;
}

export function ChartFrame({ title, keys, aside, summary, height, xMax, lastStep, read, table, children, testId }: ChartFrameProps) {
  const id = useId();
  const { ref, width } = useElementSize();
  const [wanted, setWanted] = useState<number | null>(null);
  const [asTable, setAsTable] = useState(false);
  const reading = wanted === null ? null : read(wanted);

  const follow = (event: PointerEvent<HTMLDivElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const share = (event.clientX - box.left - Y_WIDTH) / Math.max(1, box.width - Y_WIDTH);
    setWanted(Math.min(lastStep, Math.max(0, Math.round(share * xMax))));
  };
  const key = (event: KeyboardEvent) => {
    const at = reading?.step ?? lastStep;
    const by = event.shiftKey ? 10 : 1;
    const targets: Record<string, number> = { ArrowLeft: at - by, ArrowRight: at + by, Home: 0, End: lastStep };
    const next = targets[event.key];
    if (event.key === 'Escape') setWanted(null);
    if (next === undefined) return;
    event.preventDefault();
    setWanted(Math.min(lastStep, Math.max(0, next)));
  };

  return (
    <section className={classes.frame} aria-labelledby={id} data-testid={testId}>
      <div className={classes.head}>
        <h2 id={id}>{title}</h2>
        {reading ? <p className={classes.reading}>{reading.text}</p> : <>
          {keys && <div className={classes.keys}>{keys}</div>}
          <p className={classes.aside}>{aside}</p>
        </>}
        {table && <button type="button" className={`link ${classes.toggle}`} onClick={() => setAsTable(!asTable)}>{asTable ? 'Show as chart' : 'Show as table'}</button>}
      </div>
      {asTable && table
        ? <ChartTable data={table()} label={title} height={height} />
        : (
          // The chart is read with arrow keys, so it takes the focus though it is no control.
          // oxlint-disable jsx-a11y/no-noninteractive-tabindex, jsx-a11y/no-noninteractive-element-interactions
          <div
            ref={ref} className={classes.plot} style={{ height }} role="img" tabIndex={0} aria-label={reading ? `${summary} ${reading.text}` : summary}
            onPointerMove={follow} onPointerDown={follow} onPointerLeave={() => setWanted(null)} onKeyDown={key} onBlur={() => setWanted(null)}
          >
            {width > 0 && children({ width, cursor: reading?.step ?? null })}
          </div>
        )}
    </section>
  );
}
