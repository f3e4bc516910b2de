/** A ruler: line, the usual range as a band, ticks with values, a thumb that stops at round values. */
import { useRef, type KeyboardEvent, type PointerEvent } from 'react';
import classes from './Recipe.module.css';
import { fraction, nearestStop, stepStop, visibleTicks, type Ruler } from './rulers.ts';

interface RulerSliderProps { ruler: Ruler; value: number; usual?: [number, number] | undefined; label: string; onChange: (value: number) => void }

const percent = (share: number): string => `${share * 100}%`;

export function RulerSlider({ ruler, value, usual, label, onChange }: RulerSliderProps) {
  const line = useRef<HTMLDivElement>(null);
  const first = ruler.stops[0]!;
  const last = ruler.stops.at(-1)!;

  const follow = (event: PointerEvent) => {
    const box = line.current?.getBoundingClientRect();
    if (!box) return;
    const next = nearestStop(ruler, (event.clientX - box.left) / box.width);
    if (next !== value) onChange(next);
  };
  const key = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowRight: stepStop(ruler, value, 1), ArrowUp: stepStop(ruler, value, 1),
      ArrowLeft: stepStop(ruler, value, -1), ArrowDown: stepStop(ruler, value, -1), Home: first, End: last,
    };
    const next = steps[event.key];
    if (next === undefined) return;
    event.preventDefault();
    onChange(next);
  };

  const from = usual ? fraction(ruler, usual[0]) : 0;
  const to = usual ? fraction(ruler, usual[1]) : 0;
  return (
    <div
      className={classes.ruler}
      onPointerDown={(e) => { e.currentTarget.setPointerCapture(e.pointerId); follow(e); }}
      onPointerMove={(e) => { if (e.currentTarget.hasPointerCapture(e.pointerId)) follow(e); }}
    >
      <div ref={line} className={classes.line}>
        {usual && <span className={classes.usual} style={{ left: percent(from), width: percent(to - from) }} />}
        {visibleTicks(ruler).map((tick) => (
          <span key={tick} className={classes.tick} style={{ left: percent(fraction(ruler, tick)) }}>
            <span data-end={tick === first ? 'first' : tick === last ? 'last' : undefined}>{ruler.format(tick)}</span>
          </span>
        ))}
        <div
          className={classes.thumb} style={{ left: percent(fraction(ruler, value)) }} role="slider" tabIndex={0} aria-label={`${label}, ruler`}
          aria-valuemin={first} aria-valuemax={last} aria-valuenow={value} aria-valuetext={ruler.format(value)} onKeyDown={key}
        />
      </div>
    </div>
  );
}
