/** Axes and grid in our look. What is drawn inside reads the scales through Recharts' hooks. */
import { useMemo, type ReactNode } from 'react';
import { CartesianGrid, ComposedChart, XAxis, YAxis } from 'recharts';

/** Room for "2.5e-3". */
export const Y_WIDTH = 46;
const TEXT = { fontSize: 11.5, fill: 'var(--etude-faint)' };
const LINE = { stroke: 'var(--etude-control)' };
const MARGIN = { top: 4, right: 0, bottom: 0, left: 0 };
const CURSOR = { cursor: 'crosshair' };

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

/** The same array as long as its numbers are the same: a curve grows many times before its axes change. */
function useSame(numbers: number[]): number[] {
  const key = numbers.join();
  // oxlint-disable-next-line react-hooks/exhaustive-deps -- the key stands for the numbers
  return useMemo(() => numbers, [key]);
}

/** The labels of the axes decide whether a format is another one; its identity changes at every render. */
const labels = (ticks: number[], format: (value: number) => string): string => ticks.map(format).join();

export function Plot({ width, height, xMax, xTicks, yTicks, formatX, formatY, children }: PlotProps) {
  const xs = useSame(xTicks);
  const ys = useSame(yTicks);
  const data = useMemo(() => [{ step: 0 }, { step: xMax }], [xMax]);
  const words = labels(xs, formatX) + labels(ys, formatY);
  const axes = useMemo(() => (
    <>
      <CartesianGrid vertical={false} stroke="var(--etude-grid)" />
      <XAxis
        dataKey="step" type="number" domain={[0, xMax]} ticks={xs} allowDataOverflow height={26} tickFormatter={formatX} interval={0}
        tick={TEXT} tickSize={5} tickMargin={4} tickLine={LINE} axisLine={LINE}
      />
      <YAxis
        type="number" domain={[ys[0] ?? 0, ys.at(-1) ?? 1]} ticks={ys} allowDataOverflow width={Y_WIDTH} tickFormatter={formatY} interval={0}
        tick={TEXT} tickLine={false} axisLine={false} tickMargin={4}
      />
    </>
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- the words stand for the formats
  ), [xMax, xs, ys, words]);
  return (
    <ComposedChart width={width} height={height} data={data} margin={MARGIN} accessibilityLayer={false} style={CURSOR}>
      {axes}
      {children}
    </ComposedChart>
  );
}
