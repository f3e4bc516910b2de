/** The whole row on one line: what is trained, what is ignored, where the special tokens stand. */
import type { InspectedRow } from '../../stores/types.ts';
import { formatWhole } from '../format.ts';
import classes from './Mask.module.css';
import { rulerSteps, segments } from './maskSegments.ts';

/** A label begins at its tick: none begins so late that it would leave the ruler. */
const ROOM_FOR_LABEL = 0.93;

export function MaskRuler({ row }: { row: InspectedRow }) {
  const total = Math.max(1, row.totalTokens);
  const { tick, label } = rulerSteps(total);
  const percent = (n: number) => `${(100 * n) / total}%`;
  const ticks = Array.from({ length: Math.floor(total / tick) + 1 }, (_, i) => i * tick);
  return (
    <div
      className={classes.ruler} role="img"
      aria-label={`Ruler of ${formatWhole(total)} tokens, ${formatWhole(row.trainedTokens)} of them trained`}
    >
      <div className={classes.band}>
        {segments(row).map((s) => <span key={s.from} data-kind={s.kind} style={{ left: percent(s.from), width: percent(s.length) }} />)}
      </div>
      <div className={classes.ticks}>
        {ticks.map((t) => (
          <span key={t} data-major={t % label === 0 || undefined} style={{ left: percent(t) }}>
            {t % label === 0 && t <= total * ROOM_FOR_LABEL && <span>{formatWhole(t)}</span>}
          </span>
        ))}
      </div>
    </div>
  );
}
