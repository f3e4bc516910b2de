/** What charts draw inside a Plot: lines, points, diamonds, labels at line ends, epoch lines, the crosshair. */
import { usePlotArea, useXAxisScale, useYAxisScale } from 'recharts';
import type { CurvePoint } from '../../stores/lossSeries.ts';

/** Null for what lies outside the axes: Recharts' scales give nothing there. */
type Place = (p: CurvePoint) => [x: number, y: number] | null;

const number = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null);

/** Pixel places of points; null until the axes are laid out. */
function usePlace(): Place | null {
  const x = useXAxisScale();
  const y = useYAxisScale();
  if (!x || !y) return null;
  return (p) => {
    const at = number(x(p.step));
    const up = number(y(p.value));
    return at === null || up === null ? null : [at, up];
  };
}

const placed = (points: CurvePoint[], place: Place): [x: number, y: number][] => points.flatMap((p) => { const at = place(p); return at ? [at] : []; });

const pathOf = (points: CurvePoint[], place: Place): string =>
  placed(points, place).map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');

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
  const area = usePlotArea();
  if (!place || !area || points.length === 0) return null;
  // Outliers beyond the axis are left to the table.
  const inside = placed(points, place).filter(([, y]) => y >= area.y - radius && y <= area.y + area.height + radius);
  const d = inside.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join('');
  return <path d={d} fill="none" stroke={colour} strokeWidth={radius * 2} strokeLinecap="round" />;
}

/** Open diamonds, the best one filled. */
export function Diamonds({ points, best, colour }: { points: CurvePoint[]; best: CurvePoint | null; colour: string }) {
  const place = usePlace();
  if (!place) return null;
  return (
    <g>
      {points.map((p) => {
        const at = place(p);
        if (!at) return null;
        const [x, y] = at;
        return <path key={p.step} d={`M${x} ${y - 4.5}l4.5 4.5-4.5 4.5-4.5-4.5z`} fill={p === best ? colour : 'var(--etude-page)'} stroke={colour} strokeWidth={1.25} />;
      })}
    </g>
  );
}

/** One a line, told apart by its colour. */
export interface EndLabel { point: CurvePoint; text: string; colour: string; dot?: boolean; bold?: boolean }

const LINE = 15;
/** Labels whose points are further apart than this, in pixels, stand beside each other. */
const NEAR = 90;

/** Names at the ends of lines, pushed apart where they would overlap. */
export function EndLabels({ labels }: { labels: EndLabel[] }) {
  const place = usePlace();
  const area = usePlotArea();
  if (!place || !area) return null;
  const shown = labels.flatMap((label) => { const at = place(label.point); return at ? [{ ...label, x: at[0], y: at[1], textY: at[1] }] : []; }).toSorted((a, b) => a.y - b.y);
  for (let i = 1; i < shown.length; i++) {
    const above = shown[i - 1]!;
    const here = shown[i]!;
    const overlap = LINE - (here.textY - above.textY);
    if (overlap > 0 && Math.abs(here.x - above.x) < NEAR) {
      above.textY -= overlap / 2;
      here.textY += overlap / 2;
    }
  }
  // Above the axis, and so above each other.
  for (let i = shown.length - 1; i >= 0; i--) {
    const here = shown[i]!;
    const below = shown[i + 1];
    here.textY = Math.min(here.textY, area.y + area.height - 6, below && Math.abs(here.x - below.x) < NEAR ? below.textY - LINE : Infinity);
  }
  return (
    <g fontSize={11.5} fontWeight={600}>
      {shown.map((l) => (
        <g key={l.colour}>
          {l.dot && <circle cx={l.x} cy={l.y} r={3.5} fill={l.colour} />}
          <text x={l.x + 10} y={Math.max(area.y + 9, l.textY + 4)} fill={l.colour} fontWeight={l.bold === false ? 400 : 600}>{l.text}</text>
        </g>
      ))}
    </g>
  );
}

/** A word above a point: the best validation. */
export function PointLabel({ point, text, colour }: { point: CurvePoint; text: string; colour: string }) {
  const place = usePlace();
  if (!place) return null;
  const at = place(point);
  if (!at) return null;
  return <text x={at[0]} y={at[1] - 11} fontSize={11.5} textAnchor="middle" fill={colour}>{text}</text>;
}

/** Dotted verticals where an epoch begins. */
export function EpochLines({ steps }: { steps: { step: number; name: string }[] }) {
  const x = useXAxisScale();
  const area = usePlotArea();
  if (!x || !area) return null;
  return (
    <g>
      {steps.map(({ step, name }) => {
        const at = number(x(step));
        return at === null ? null : (
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
  const at = number(y(value));
  if (at === null) return null;
  return <line x1={area.x} x2={area.x + area.width} y1={at} y2={at} stroke="var(--etude-aux)" strokeDasharray="4 3" />;
}

/** The name of the x axis, at its end. */
export function AxisName({ text }: { text: string }) {
  const area = usePlotArea();
  if (!area) return null;
  return <text x={area.x + area.width} y={area.y + area.height + 18} fontSize={11.5} textAnchor="end" fill="var(--etude-faint)">{text}</text>;
}

export function Crosshair({ step }: { step: number | null }) {
  const x = useXAxisScale();
  const area = usePlotArea();
  if (!x || !area || step === null) return null;
  const at = number(x(step));
  return at === null ? null : <line x1={at} x2={at} y1={area.y} y2={area.y + area.height} stroke="var(--etude-ink)" />;
}
