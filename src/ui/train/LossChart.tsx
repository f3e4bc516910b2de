/** The loss: each step faint, smoothed in the accent, validation in ink, epochs as dotted lines. */
import { useMemo } from 'react';
import { useMediaQuery } from '@mantine/hooks';
import { bucketAt, rawPoints, smoothPoints, SMOOTHING, type CurvePoint, type Series } from '../../stores/lossSeries.ts';
import type { RunCharts } from '../../stores/run.ts';
import { ChartFrame } from '../charts/ChartFrame.tsx';
import type { TableData } from '../charts/ChartTable.tsx';
import { AxisName, Crosshair, Curve, Diamonds, Dots, EndLabels, EpochLines, PointLabel } from '../charts/marks.tsx';
import { Plot } from '../charts/Plot.tsx';
import { niceTicks, stepTicks, tickDecimals } from '../charts/ticks.ts';
import { formatLoss, formatLossExact, formatWhole } from '../format.ts';

interface LossChartProps { charts: RunCharts; totalSteps: number; step: number; stepsPerEpoch: number | null; height?: number }

const Keys = ({ validation }: { validation: boolean }) => (
  <>
    <span><svg width="18" height="10" aria-hidden="true"><path d="M2 7h0M9 4h0M16 6h0" stroke="var(--etude-ghost)" strokeWidth="4" strokeLinecap="round" /></svg>each step</span>
    <span title={`Bias-corrected moving average, ${SMOOTHING}`}><svg width="18" height="10" aria-hidden="true"><path d="M1 5h16" stroke="var(--etude-accent)" strokeWidth="2.25" strokeLinecap="round" /></svg>smoothed {SMOOTHING}</span>
    {validation && <span><svg width="18" height="10" aria-hidden="true"><path d="M1 5h16" stroke="var(--etude-ink)" /><path d="M9 1l4 4-4 4-4-4z" fill="var(--etude-page)" stroke="var(--etude-ink)" /></svg>validation</span>}
  </>
);

/** y range of a loss: all smoothed and validation points, raw ones without the outermost 2 %. Pure. */
export function lossRange(loss: Series, evals: CurvePoint[]): [number, number] {
  const raw = rawPoints(loss).map((p) => p.value).toSorted((a, b) => a - b);
  const cut = Math.floor(raw.length * 0.02);
  const values = [...raw.slice(cut, raw.length - cut), ...loss.buckets.map((b) => b.smooth), ...evals.map((p) => p.value)];
  if (values.length === 0) return [0, 1];
  let low = values[0]!;
  let high = low;
  for (const v of values) {
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  // A flat line still gets a scale, and a loss cannot be negative.
  return high - low < 1e-4 * Math.max(1, high) ? [Math.max(0, low - 0.1), high + 0.1] : [low, high];
}

export const bestOf = (evals: CurvePoint[]): CurvePoint | null =>
  evals.reduce<CurvePoint | null>((best, p) => (best === null || p.value < best.value ? p : best), null);

function epochLines(stepsPerEpoch: number | null, totalSteps: number) {
  if (!stepsPerEpoch || totalSteps / stepsPerEpoch > 40) return [];
  const count = Math.ceil(totalSteps / stepsPerEpoch) - 1;
  const named = count <= 5;
  return Array.from({ length: Math.max(0, count) }, (_, i) => ({ step: (i + 1) * stepsPerEpoch, name: named ? `epoch ${i + 2}` : '' }));
}

function tableOf({ loss, evals }: RunCharts): TableData {
  const byStep = new Map(evals.map((p) => [p.step, p.value]));
  const evalIn = (from: number, to: number) => { for (const [step, value] of byStep) if (step >= from && step <= to) return formatLossExact(value); return ''; };
  const single = loss.width === 1;
  return {
    columns: ['Step', single ? 'Loss' : 'Loss, least to greatest', 'Smoothed', 'Validation'],
    rows: loss.buckets.map((b) => [
      b.from === b.to ? formatWhole(b.to) : `${formatWhole(b.from)}–${formatWhole(b.to)}`,
      b.min === b.max ? formatLossExact(b.last) : `${formatLossExact(b.min)}–${formatLossExact(b.max)}`, formatLossExact(b.smooth), evalIn(b.from, b.to),
    ]),
  };
}

export function LossChart({ charts, totalSteps, step, stepsPerEpoch, height = 268 }: LossChartProps) {
  const { loss, evals } = charts;
  const phone = useMediaQuery('(max-width: 639px)', false, { getInitialValueInEffect: false }) ?? false;
  const drawn = useMemo(() => ({ raw: rawPoints(loss), smooth: smoothPoints(loss) }), [loss]);
  const yTicks = useMemo(() => niceTicks(...lossRange(loss, evals), 6), [loss, evals]);
  const decimals = Math.max(2, tickDecimals(yTicks));
  const best = bestOf(evals);
  const lastSmooth = drawn.smooth.at(-1);
  const lastEval = evals.at(-1);
  // Room at the right for the names at line ends.
  const xMax = Math.max(1, totalSteps) * (phone ? 1.16 : 1.19);
  const summary = lastSmooth
    ? `Training loss, smoothed, ${formatLoss(lastSmooth.value)} at step ${step} of ${totalSteps}; it began at ${formatLoss(loss.buckets[0]?.smooth)}.${lastEval ? ` Validation loss ${formatLoss(lastEval.value)}, best ${formatLoss(best?.value)} at step ${best?.step}.` : ''}`
    : 'No loss yet.';
  const read = (wanted: number) => {
    const b = bucketAt(loss, wanted);
    if (!b) return null;
    const near = evals.findLast((p) => p.step <= b.to);
    return { step: b.to, text: `step ${formatWhole(b.to)} · loss ${b.min === b.max ? formatLossExact(b.last) : `${formatLoss(b.min)} to ${formatLoss(b.max)}`} · smoothed ${formatLossExact(b.smooth)}${near ? ` · validation ${formatLossExact(near.value)}` : ''}` };
  };
  return (
    <ChartFrame
      title="Loss" keys={<Keys validation={evals.length > 0} />} aside="nats a token" summary={summary} height={height} xMax={xMax}
      lastStep={Math.max(step, lastEval?.step ?? 0)} read={read} table={() => tableOf(charts)} testId="loss-chart"
    >
      {({ width, cursor }) => (
        <Plot width={width} height={height} xMax={xMax} xTicks={stepTicks(totalSteps, phone ? 3 : 6)} yTicks={yTicks} formatX={formatWhole} formatY={(y) => y.toFixed(decimals)}>
          <EpochLines steps={epochLines(stepsPerEpoch, totalSteps)} />
          <Dots points={drawn.raw} colour="var(--etude-ghost)" radius={1.6} />
          <Curve points={evals} colour="var(--etude-ink)" width={1.25} />
          <Curve points={drawn.smooth} colour="var(--etude-accent)" width={2.25} />
          <Diamonds points={evals} best={best} colour="var(--etude-ink)" />
          {best && evals.length > 2 && best !== lastEval && <PointLabel point={best} text={`best ${formatLoss(best.value)}`} colour="var(--etude-ink)" />}
          <EndLabels
            labels={[
              ...(lastEval ? [{ point: lastEval, text: `${phone ? '' : 'validation '}${formatLoss(lastEval.value)}`, colour: 'var(--etude-ink)' }] : []),
              ...(lastSmooth ? [{ point: lastSmooth, text: `${phone ? '' : 'training '}${formatLoss(lastSmooth.value)}`, colour: 'var(--etude-accent)', dot: true }] : []),
            ]}
          />
          {!phone && <AxisName text="step" />}
          <Crosshair step={cursor} />
        </Plot>
      )}
    </ChartFrame>
  );
}
