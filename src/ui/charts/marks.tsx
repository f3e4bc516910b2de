/** What charts draw inside a Plot: lines, points, diamonds, labels at line ends, epoch lines, the crosshair. */
import { usePlotArea, useXAxisScale, useYAxisScale } from 'recharts';
import type { CurvePoint } from '../../stores/lossSeries.ts';

type Place = (p: CurvePoint) => [x: number, y: number];

/** Pixel places of points; null until the chart has laid out its axes. */
function usePlace(): Place | null {
  const x = useXAxisScale();
  const y = useYAxisScale();
  if (!x || !y) return null;
  return (p) => [x(p.step) as number, y(p.value) as number];
}

export const pathOf = (points: CurvePoint[], place: Place): string =>
  points.map((p, i) => { const [x, y] = place(p); return `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`; }).join('');

export function Curve({ points, colour, width, dashed = false }: { points: CurvePoint[]; colour: string; width: number; dashed?: boolean }) {
  const place = usePlace();
  if (!place || points.length === 0) return null;
  return (
    <path
      d={pathOf(points, place)} fill="none" stroke={colour} strokeWidth={width} strokeLinejoin="round" strokeLinecap="round"
      strokeDasharray={dashed ? '6 4' : undefined}
    />
  );
}

/** All points as one path of dots: a thousand circles would cost more than the rest of the page. */
export function Dots({ points, colour, radius }: { points: CurvePoint[]; colour: string; radius: number }) {
  const place = usePlace();
  if (!place || points.length === 0) return null;
  const d = points.map((p) => { const [x, y] = place(p); return `M${x.toFixed(1)} ${y.toFixed(1)}h0`; }).join('');
  return <path d={d} fill="none" stroke={colour} strokeWidth={radius * 2} strokeLinecap="round" />;
}

/** Open diamonds, the best one filled. */
export function Diamonds({ points, best, colour }: { points: CurvePoint[]; best: CurvePoint | null; colour: string }) {
  const place = usePlace();
  if (!place) return null;
  return (
    <g>
      {points.map((p) => {
        const [x, y] = place(p);
        return <path key={p.step} d={`M${x} ${y - 4.5}l4.5 4.5-4.5 4.5-4.5-4.5z`} fill={p === best ? colour : 'var(--etude-page)'} stroke={colour} strokeWidth={1.25} />;
      })}
    </g>
  );
}

export interface EndLabel { point: CurvePoint; text: string; colour: string; dot?: boolean; bold?: boolean }

const LINE = 15;

/** Names at the ends of lines, pushed apart where they would overlap. */
export function EndLabels({ labels }: { labels: EndLabel[] }) {
  const place = usePlace();
  const area = usePlotArea();
  if (!place || !area) return null;
  const placed = labels.map((label) => { const [x, y] = place(label.point); return { ...label, x, y, textY: y }; }).toSorted((a, b) => a.y - b.y);
  for (let i = 1; i < placed.length; i++) {
    const above = placed[i - 1]!;
    const here = placed[i]!;
    const overlap = LINE - (here.textY - above.textY);
    if (overlap > 0 && Math.abs(here.x - above.x) < 90) {
      above.textY -= overlap / 2;
      here.textY += overlap / 2;
    }
  }
  return (
    <g fontSize={11.5} fontWeight={600}>
      {placed.map((l) => (
        <g key={l.text}>
          {l.dot && <circle cx={l.x} cy={l.y} r={3.5} fill={l.colour} />}
          <text x={l.x + 10} y={Math.min(area.y + area.height - 2, Math.max(area.y + 9, l.textY + 4))} fill={l.colour} fontWeight={l.bold === false ? 400 : 600}>{l.text}</text>
        </g>
      ))}
    </g>
  );
}

/** A word above a point: the best validation. */
export function PointLabel({ point, text, colour }: { point: CurvePoint; text: string; colour: string }) {
  const place = usePlace();
  if (!place) return null;
  const [x, y] = place(point);
  return <text x={x} y={y - 11} fontSize={11.5} textAnchor="middle" fill={colour}>{text}</text>;
}

/** Dotted verticals where an epoch begins. */
export function EpochLines({ steps }: { steps: { step: number; name: string }[] }) {
  const x = useXAxisScale();
  const area = usePlotArea();
  if (!x || !area) return null;
  return (
    <g>
      {steps.map(({ step, name }) => {
        const at = x(step) as number;
        return (
          <g key={step}>
            <line x1={at} x2={at} y1={area.y} y2={area.y + area.height} stroke="var(--etude-line-2)" strokeDasharray="2 3" />
            {name && <text x={at + 5} y={area.y + 9} fontSize={11.5} fill="var(--etude-faint)">{name}</text>}
          </g>
        );
      })}
    </g>
  );
}

/** A horizontal dashed line at a limit. */
export function LimitLine({ value }: { value: number }) {
  const y = useYAxisScale();
  const area = usePlotArea();
  if (!y || !area) return null;
  const at = y(value) as number;
  if (!(at >= area.y && at <= area.y + area.height)) return null;
  return <line x1={area.x} x2={area.x + area.width} y1={at} y2={at} stroke="var(--etude-aux)" strokeDasharray="4 3" />;
}

export function Crosshair({ step }: { step: number | null }) {
  const x = useXAxisScale();
  const area = usePlotArea();
  if (!x || !area || step === null) return null;
  const at = x(step) as number;
  return <line x1={at} x2={at} y1={area.y} y2={area.y + area.height} stroke="var(--etude-ink)" />;
}
