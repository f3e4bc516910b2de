/** Axes and grid in our look. What is drawn inside reads the scales through Recharts' hooks. */
import type { ReactNode } from 'react';
import { CartesianGrid, ComposedChart, XAxis, YAxis } from 'recharts';

export const Y_WIDTH = 40;
const TEXT = { fontSize: 11.5, fill: 'var(--etude-faint)' };

interface PlotProps {
  width: number;
  height: number;
  xMax: number;
  xTicks: number[];
  /** First and last are the domain. */
  yTicks: number[];
  formatX: (x: number) => string;
  formatY: (y: number) => string;
  children: ReactNode;
}

const domainOf = (ticks: number[]): [number, number] => [ticks[0] ?? 0, ticks.at(-1) ?? 1];

export function Plot({ width, height, xMax, xTicks, yTicks, formatX, formatY, children }: PlotProps) {
  return (
    <ComposedChart
      width={width} height={height} data={[{ step: 0 }, { step: xMax }]} margin={{ top: 4, right: 0, bottom: 0, left: 0 }}
      accessibilityLayer={false} style={{ cursor: 'crosshair' }}
    >
      <CartesianGrid vertical={false} stroke="var(--etude-grid)" />
      <XAxis
        dataKey="step" type="number" domain={[0, xMax]} ticks={xTicks} allowDataOverflow height={26} tickFormatter={formatX} interval={0}
        tick={TEXT} tickSize={5} tickMargin={4} tickLine={{ stroke: 'var(--etude-control)' }} axisLine={{ stroke: 'var(--etude-control)' }}
      />
      <YAxis
        type="number" domain={domainOf(yTicks)} ticks={yTicks} allowDataOverflow width={Y_WIDTH} tickFormatter={formatY} interval={0}
        tick={TEXT} tickLine={false} axisLine={false} tickMargin={4}
      />
      {children}
    </ComposedChart>
  );
}
