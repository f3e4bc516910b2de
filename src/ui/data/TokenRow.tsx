/** The tokens of a turn: one tab stop, arrows move inside, the token under hand or key is read out. */
import { Fragment, memo, useId, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import type { InspectedToken } from '../../stores/types.ts';
import { formatWhole } from '../format.ts';
import { heatAt, lossWords, VIEW_NAMES, type ShownLosses } from './heat.ts';
import classes from './Mask.module.css';
import { TokenPopover, type Reading } from './TokenReading.tsx';
import { lineBreaks, shownText, tokenWords, type PlacedToken } from './tokenWords.ts';

interface TokenRowProps {
  role: string;
  tokens: InspectedToken[];
  start: number;
  reading: Reading | null;
  onRead: (reading: Reading | null) => void;
  /** What the tokens cost, once it is asked for. */
  losses: ShownLosses | null;
}

/** More than this would make the page slow to lay out; the rest is one click away. */
const SHOWN = 1500;

interface TokenProps { placed: PlacedToken; active: boolean; id: string; last: boolean; losses: ShownLosses | null }

const Token = memo(function Token({ placed, active, id, last, losses }: TokenProps) {
  const { token, position } = placed;
  const heat = losses && heatAt(losses, position);
  const cost = losses ? lossWords(losses, position).map(({ term, words }) => `, ${term.toLowerCase()} ${words}`).join('') : '';
  const words = `${token.text.trim() || shownText(token.text)}, id ${token.id}, ${token.cut ? 'cut off' : token.trained ? 'trained' : 'ignored'}${cost}`;
  return (
    <>
      <span
        id={id} role="option" aria-selected={active} aria-label={words} className={classes.token} data-position={position}
        data-trained={token.trained || undefined} data-special={token.special || undefined} data-cut={token.cut || undefined} data-active={active || undefined} data-heat={heat?.step} data-scale={heat?.scale} data-break={/^\n+$/.test(token.text) || undefined}
      >
        {shownText(token.text)}
      </span>
      {!last && Array.from({ length: lineBreaks(token.text) }, (_, i) => <br key={i} />)}
    </>
  );
});

export function TokenRow({ role, tokens, start, reading, onRead, losses }: TokenRowProps) {
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const [all, setAll] = useState(false);
  const words = useMemo(() => tokenWords(all ? tokens : tokens.slice(0, SHOWN), start), [tokens, start, all]);
  const last = start + (all ? tokens.length : Math.min(tokens.length, SHOWN)) - 1;
  const mine = reading && reading.position >= start && reading.position <= last ? reading : null;

  const read = (position: number, by: Reading['by']) => {
    const token = tokens[position - start];
    const element = box.current?.querySelector<HTMLElement>(`[data-position="${position}"]`);
    if (!token || !element) return;
    onRead({ token, position, by, rowId: id, box: { left: element.offsetLeft, top: element.offsetTop, width: element.offsetWidth, height: element.offsetHeight, within: box.current!.offsetWidth } });
  };
  const positionOf = (target: EventTarget): number | null => {
    const found = target instanceof Element ? target.closest<HTMLElement>('[data-position]') : null;
    return found ? Number(found.dataset.position) : null;
  };
  const key = (event: KeyboardEvent) => {
    const at = mine?.position ?? start;
    const by = event.shiftKey ? 10 : 1;
    const targets: Record<string, number> = { ArrowRight: at + by, ArrowLeft: at - by, ArrowDown: at + 10, ArrowUp: at - 10, Home: start, End: last };
    const next = targets[event.key];
    if (event.key === 'Escape') return onRead(null);
    if (next === undefined) return;
    event.preventDefault();
    read(Math.min(last, Math.max(start, next)), 'key');
  };

  return (
    <div className={classes.tokenBox}>
      <div
        ref={box} className={classes.tokenRow} role="listbox" tabIndex={0} aria-label={`Tokens of the ${role} turn${losses?.tuned ? `, ${VIEW_NAMES[losses.view].toLowerCase()}` : ''}`} aria-orientation="horizontal" data-losses={losses?.view}
        {...(mine ? { 'aria-activedescendant': `${id}-${mine.position}` } : {})}
        onKeyDown={key}
        onFocus={(e) => { if (e.currentTarget.matches(':focus-visible')) read(mine?.position ?? start, 'key'); }}
        onBlur={() => onRead(null)}
        onPointerOver={(e) => { const p = positionOf(e.target); if (p !== null) read(p, 'pointer'); }}
        onPointerLeave={(e) => { if (e.pointerType === 'mouse' && reading?.by === 'pointer') onRead(null); }}
      >
        {words.map((word) => (
          <Fragment key={word[0]!.position}>
            <span className={classes.word} role="presentation">
              {word.map((placed) => <Token key={placed.position} placed={placed} id={`${id}-${placed.position}`} active={mine?.position === placed.position} last={placed.position === last} losses={losses} />)}
            </span>
            {/* A break opportunity between words, and nowhere else. */}
            <wbr />
          </Fragment>
        ))}
      </div>
      {mine?.rowId === id && <TokenPopover reading={mine} losses={losses} />}
      {!all && tokens.length > SHOWN && (
        <button type="button" className="link" onClick={() => setAll(true)}>Show the other {formatWhole(tokens.length - SHOWN)} tokens</button>
      )}
    </div>
  );
}
