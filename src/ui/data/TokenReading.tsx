/** What one token is: text, id, position, label. A popover beside it, or a line under the ruler where fingers point. */
import type { InspectedToken } from '../../stores/types.ts';
import { formatWhole } from '../format.ts';
import { lossWords, type ShownLosses } from './heat.ts';
import classes from './Mask.module.css';

export interface Reading {
  token: InspectedToken;
  position: number;
  by: 'pointer' | 'key';
  /** Which row of tokens it was read in: a turn may be shown twice. */
  rowId: string;
  /** Place of the token in the box of its row, which is `within` wide. */
  box: { left: number; top: number; width: number; height: number; within: number };
}

const quoted = (text: string): string => `“${text.replaceAll('\n', '\\n').replaceAll('\t', '\\t')}”`;
const labelOf = (token: InspectedToken): string => (token.cut ? 'none, cut off' : token.trained ? `${token.id}, trained` : '-100, ignored');

const WIDTH = 208;

export function TokenPopover({ reading: { token, position, box }, losses }: { reading: Reading; losses: ShownLosses | null }) {
  // Beside the token; below it where there is no room.
  const beside = box.left + box.width + 10;
  const fits = beside + WIDTH <= box.within;
  const left = fits ? beside : Math.max(0, Math.min(box.left, box.within - WIDTH));
  const top = fits ? box.top - 10 : box.top + box.height + 6;
  return (
    <dl className={classes.popover} style={{ left: `min(${left}px, calc(100% - ${WIDTH}px))`, top, width: WIDTH }} aria-hidden="true" data-testid="token-reading">
      <div><dt>Text</dt><dd>{quoted(token.text)}</dd></div>
      <div><dt>Id</dt><dd>{token.id}</dd></div>
      <div><dt>Position</dt><dd>{formatWhole(position)}</dd></div>
      <div><dt>Label</dt><dd>{labelOf(token)}</dd></div>
      <div><dt>From</dt><dd>{token.from}</dd></div>
      {losses && lossWords(losses, position).map(({ term, words }) => <div key={term}><dt>{term}</dt><dd>{words}</dd></div>)}
    </dl>
  );
}

export function ReadingLine({ reading, losses }: { reading: Reading | null; losses: ShownLosses | null }) {
  const cost = reading && losses ? lossWords(losses, reading.position).map(({ term, words }) => ` · ${term.toLowerCase()} ${words}`).join('') : '';
  return (
    <p className={classes.readingLine}>
      {reading ? `${quoted(reading.token.text)} · id ${reading.token.id} · position ${formatWhole(reading.position)} · label ${labelOf(reading.token)} · from ${reading.token.from}${cost}` : 'Touch a token to read it'}
    </p>
  );
}
