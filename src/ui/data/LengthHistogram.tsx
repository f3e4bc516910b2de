/** How long the rows are, and where they are cut. */
import { SegmentedControl } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import { useState } from 'react';
import { useRecipe } from '../../stores/recipe.ts';
import { usePlan } from '../../stores/plan.ts';
import type { DataReport } from '../../stores/types.ts';
import { formatCount, formatWhole } from '../format.ts';
import { niceTicks, stepTicks } from '../charts/ticks.ts';
import classes from './Data.module.css';
import { RowShapes } from './RowShapes.tsx';

const HEIGHT = 168;
const TOP = 28;
const BOTTOM = 24;

interface Bar { from: number; count: number }

/** Joins buckets so that at most `most` bars are drawn. Pure. */
export function histogramBars({ width, counts }: DataReport['histogram'], most: number): { bars: Bar[]; width: number } {
  const join = Math.max(1, Math.ceil(counts.length / most));
  const bars: Bar[] = [];
  for (let i = 0; i < counts.length; i += join) {
    bars.push({ from: i * width, count: counts.slice(i, i + join).reduce((a, b) => a + b, 0) });
  }
  return { bars, width: width * join };
}

type Of = 'total' | 'prompt' | 'answer';
const OF = [{ value: 'total', label: 'Row' }, { value: 'prompt', label: 'Prompt' }, { value: 'answer', label: 'Answer' }];
const WHAT: Record<Of, string> = { total: 'all tokens of a row', prompt: 'tokens that are not trained: questions, system text and the template', answer: 'tokens that are trained' };

const histogramOf = (report: DataReport, of: Of): DataReport['histogram'] => (of === 'total' ? report.histogram : of === 'prompt' ? report.charts.prompts : report.charts.answers);

function Plot({ report, of, cut, width }: { report: DataReport; of: Of; cut: number; width: number }) {
  const { bars, width: bucket } = histogramBars(histogramOf(report, of), 48);
  const end = bars.length * bucket;
  const showCut = cut < end;
  const most = Math.max(1, ...bars.map((b) => b.count));
  const ticks = niceTicks(0, most, 5).filter((t) => Number.isInteger(t) && t <= most);
  const top = most * 1.04;
  const x = (tokens: number) => (tokens / end) * width;
  const y = (count: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - count / top);
  const labelX = Math.min(Math.max(x(cut), 34), width - 34);
  return (
    <svg className={classes.histogram} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} role="img" aria-label={`${of === 'total' ? 'Row' : of === 'prompt' ? 'Prompt' : 'Answer'} lengths by tokens: longest row ${report.longest}, ${report.cutRows} rows are cut at ${cut}`}>
      {ticks.filter((t) => t > 0).map((t, i, all) => (
        <g key={t}>
          <line x1={0} x2={width} y1={y(t)} y2={y(t)} stroke="var(--etude-grid)" />
          <text x={width} y={y(t) - 4} textAnchor="end" fontSize={11.5} fill="var(--etude-faint)">{formatCount(t)}{i === all.length - 1 ? ' rows' : ''}</text>
        </g>
      ))}
      {bars.map((b) => b.count > 0 && (
        <rect
          key={b.from} x={x(b.from) + 0.5} width={Math.max(1, x(bucket) - 1.5)} y={y(b.count)} height={Math.max(1, y(0) - y(b.count))}
          fill={b.from >= cut ? 'var(--etude-warning-mark)' : 'var(--etude-aux)'}
        />
      ))}
      <line x1={0} x2={width} y1={y(0)} y2={y(0)} stroke="var(--etude-control)" />
      {stepTicks(end, 4).map((t) => (
        <text key={t} x={x(t)} y={HEIGHT - 6} fontSize={11.5} textAnchor={t === 0 ? 'start' : x(t) > width - 16 ? 'end' : 'middle'} fill="var(--etude-faint)">{formatWhole(t)}</text>
      ))}
      {showCut && (
        <>
          <line x1={x(cut)} x2={x(cut)} y1={20} y2={y(0) + 5} stroke="var(--etude-ink)" strokeWidth={1.5} />
          <text x={labelX} y={13} fontSize={12.5} textAnchor="middle" fill="var(--etude-ink)">cut at {formatWhole(cut)}</text>
        </>
      )}
    </svg>
  );
}

function Lengths() {
  const report = usePlan((s) => s.report.value);
  const cut = useRecipe((s) => s.recipe.data.maxLength);
  const { ref, width } = useElementSize();
  const [of, setOf] = useState<Of>('total');
  if (!report || report.histogram.counts.length === 0) return null;
  return (
    <section ref={ref} data-testid="length-histogram">
      <div className={classes.sectionHead}>
        <h2>Length in tokens</h2>
        <span className="caption">longest row {formatWhole(report.longest)}</span>
      </div>
      <SegmentedControl size="xs" fullWidth mt={8} data={OF} value={of} onChange={(v) => setOf(v as Of)} aria-label="Length of" />
      {width > 0 && <Plot report={report} of={of} cut={cut} width={width} />}
      <p className="caption">Before rows are cut; {WHAT[of]}.</p>
    </section>
  );
}

export const LengthHistogram = () => <><Lengths /><RowShapes /></>;
