/** Learning rate or gradient norm: one line, two or three ticks, its last value in the heading. */
import { useMemo, type ReactNode } from 'react';
import { bucketAt, rawPoints, type Series } from '../../stores/lossSeries.ts';
import { ChartFrame } from '../charts/ChartFrame.tsx';
import { Crosshair, Curve, LimitLine } from '../charts/marks.tsx';
import { Plot } from '../charts/Plot.tsx';
import { niceTicks, stepTicks } from '../charts/ticks.ts';
import { formatWhole } from '../format.ts';

interface SmallChartProps {
  title: string;
  series: Series;
  totalSteps: number;
  aside: ReactNode;
  colour: string;
  width?: number;
  limit?: number | null;
  format: (value: number) => string;
  formatTick: (value: number) => string;
  testId: string;
}

const HEIGHT = 116;

export function SmallChart({ title, series, totalSteps, aside, colour, width: stroke = 1.5, limit = null, format, formatTick, testId }: SmallChartProps) {
  const points = useMemo(() => rawPoints(series), [series]);
  const xMax = Math.max(1, totalSteps);
  const top = points.reduce((m, p) => Math.max(m, p.value), limit ?? 0);
  const yTicks = niceTicks(0, top || 1, 3);
  const read = (wanted: number) => {
    const b = bucketAt(series, wanted);
    return b && { step: b.to, text: `step ${formatWhole(b.to)} · ${b.min === b.max ? format(b.last) : `${format(b.min)} to ${format(b.max)}`}` };
  };
  const last = series.buckets.at(-1);
  return (
    <ChartFrame
      title={title} aside={aside} summary={last ? `${title} ${format(last.last)} at step ${last.to}.` : `${title}: nothing yet.`} height={HEIGHT}
      xMax={xMax} lastStep={last?.to ?? 0} read={read} testId={testId}
    >
      {({ width, cursor }) => (
        <Plot width={width} height={HEIGHT} xMax={xMax} xTicks={stepTicks(totalSteps, 3)} yTicks={yTicks} formatX={formatWhole} formatY={formatTick}>
          {limit !== null && <LimitLine value={limit} />}
          <Curve points={points} colour={colour} width={stroke} />
          <Crosshair step={cursor} />
        </Plot>
      )}
    </ChartFrame>
  );
}
