/** The set as a whole: its size band and what to work on there, what its rows ask for, and how good they are, part by part. */
import { Bar, BarChart, LabelList, XAxis, YAxis } from 'recharts';
import { useElementSize } from '@mantine/hooks';
import { useState } from 'react';
import { usePlan } from '../../stores/plan.ts';
import type { DataAdvice } from '../../stores/types.ts';
import { ChartTable } from '../charts/ChartTable.tsx';
import { formatCount, formatPercent, plural } from '../format.ts';
import { Balance } from './Balance.tsx';
import classes from './Data.module.css';

const BAR = 26;
const NAME = 104;
const MARGIN = { top: 0, right: 52, bottom: 0, left: 0 };
const INK = { fontSize: 12.5, fill: 'var(--etude-dim)' };
const COUNT = { fontSize: 11.5, fill: 'var(--etude-faint)' };

/** "80 rows: question answering 60, chat 20". Pure. */
export const mixWords = (mix: DataAdvice['mix']): string =>
  `${plural(mix.reduce((sum, task) => sum + task.rows, 0), 'row')}: ${mix.map((task) => `${task.type} ${formatCount(task.rows)}`).join(', ')}.`;

/** Points of the score a part gives, of those it could. Pure. */
export const pointsOf = ({ weight, value }: DataAdvice['quality']['parts'][number]): string => {
  // Rounded down: what is not whole must not read as if it were.
  const points = Math.floor(weight * value * 10 + 1e-9) / 10;
  return `${points} of ${weight}`;
};

function Mix({ mix, advice }: { mix: DataAdvice['mix']; advice: string | undefined }) {
  const { ref, width } = useElementSize();
  const [asTable, setAsTable] = useState(false);
  const total = Math.max(1, mix.reduce((sum, task) => sum + task.rows, 0));
  const height = mix.length * BAR;
  return (
    <section ref={ref} data-testid="task-mix">
      <div className={classes.sectionHead}>
        <h2>What rows ask for</h2>
        <button type="button" className="link" onClick={() => setAsTable(!asTable)}>{asTable ? 'Show as chart' : 'Show as table'}</button>
      </div>
      {asTable
        ? <ChartTable label="What rows ask for" height={Math.max(140, height)} data={{ columns: ['Task', 'Rows', 'Share'], rows: mix.map((task) => [task.type, formatCount(task.rows), formatPercent(task.rows / total)]) }} />
        : (
          <div role="img" aria-label={mixWords(mix)} style={{ height, marginTop: 8, overflow: 'hidden' }}>
            {width > 0 && (
              <BarChart width={width} height={height} data={mix} layout="vertical" margin={MARGIN} barSize={10} accessibilityLayer={false}>
                <XAxis type="number" hide domain={[0, 'dataMax']} />
                <YAxis type="category" dataKey="type" width={NAME} tick={INK} tickLine={false} axisLine={{ stroke: 'var(--etude-control)' }} interval={0} />
                <Bar dataKey="rows" fill="var(--etude-aux)" isAnimationActive={false}>
                  <LabelList dataKey="rows" position="right" formatter={(rows) => formatCount(Number(rows))} style={COUNT} />
                </Bar>
              </BarChart>
            )}
          </div>
        )}
      <p className="caption" style={{ marginTop: 4 }}>{advice ? `${advice} ` : ''}A guess by rules over the words of each row.</p>
    </section>
  );
}

function Quality({ quality }: { quality: DataAdvice['quality'] }) {
  return (
    <section data-testid="quality">
      <div className={classes.sectionHead}>
        <h2>Quality</h2>
        <span><strong>{quality.score}</strong> <span className="caption">of 100</span></span>
      </div>
      <dl className={classes.parts}>
        {quality.parts.map((part) => (
          <div key={part.name}>
            <dt>{part.name}</dt>
            <dd className={classes.points}>{pointsOf(part)}</dd>
            <dd className={classes.meter} aria-hidden="true"><span style={{ width: `${100 * part.value}%` }} /></dd>
            <dd className="caption">{part.words}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

export function Advice() {
  const report = usePlan((s) => s.report.value);
  if (!report) return null;
  const { band, advice, mixAdvice, quality } = report.advice;
  const mix = report.advice.mix.map((task) => ({ ...task, type: task.type.replaceAll('-', ' ') }));
  return (
    <>
      <section data-testid="advice">
        <div className={classes.sectionHead}><h2>{band}</h2></div>
        <p className="dim">{advice}</p>
        {report.tokens > 0 && <p className="caption" style={{ marginTop: 4 }}>{formatPercent(report.labelledTokens / report.tokens)} of {plural(report.tokens, 'token')} are trained.</p>}
      </section>
      {mix.length > 0 && <Mix mix={mix} advice={mixAdvice} />}
      <Balance />
      {quality.parts.length > 0 && <Quality quality={quality} />}
    </>
  );
}
