/** One turn: role, count and switch at the left, its tokens at the right. */
import { Switch } from '@mantine/core';
import type { InspectedTurn } from '../../stores/types.ts';
import { formatWhole, plural } from '../format.ts';
import { VIEW_NAMES, type ShownLosses } from './heat.ts';
import classes from './Mask.module.css';
import type { Reading } from './TokenReading.tsx';
import { TokenRow } from './TokenRow.tsx';

interface TurnViewProps {
  turn: InspectedTurn;
  /** Position of its first token in the row. */
  start: number;
  reading: Reading | null;
  onRead: (reading: Reading | null) => void;
  /** Null where the whole row is left out. */
  onSwitch: ((messageIndex: number, trained: boolean) => void) | null;
  /** What its tokens cost: none, one heat map, or two beside each other. */
  losses: ShownLosses[];
}

export function TurnView({ turn, start, reading, onRead, onSwitch, losses }: TurnViewProps) {
  const trained = turn.tokens.filter((t) => t.trained && !t.cut).length;
  const added = turn.messageIndex === null;
  // Only what the model should learn to say can be trained.
  const fixed = onSwitch === null || added || turn.role !== 'assistant';
  const count = trained > 0 ? `${formatWhole(trained)} of ${formatWhole(turn.tokens.length)} trained` : plural(turn.tokens.length, 'token');
  return (
    <li className={classes.turn} data-turn={turn.role}>
      <div className={classes.about}>
        <h2>{turn.role}</h2>
        <p className="caption">{count}</p>
        <Switch
          size="xs" checked={turn.trained} disabled={fixed} label={turn.trained ? 'Trained' : 'Ignored'} aria-label={`${turn.role} turn is trained`}
          className={classes.switch}
          onChange={(e) => { if (turn.messageIndex !== null) onSwitch?.(turn.messageIndex, e.currentTarget.checked); }}
        />
      </div>
      <div className={classes.tokens}>
        {losses.length < 2 ? <TokenRow role={turn.role} tokens={turn.tokens} start={start} reading={reading} onRead={onRead} losses={losses[0] ?? null} /> : (
          <div className={classes.beside}>
            {losses.map((shown) => (
              <div key={shown.view}>
                <p className="caption">{VIEW_NAMES[shown.view]}</p>
                <TokenRow role={turn.role} tokens={turn.tokens} start={start} reading={reading} onRead={onRead} losses={shown} />
              </div>
            ))}
          </div>
        )}
        {added && <p className={classes.warn}>Not in your file. The chat template added this turn.</p>}
      </div>
    </li>
  );
}
