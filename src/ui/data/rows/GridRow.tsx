/** One row of the table; on a phone, one item of a list. Everything in it is text, whatever the file holds. */
import { memo, type ReactNode } from 'react';
import type { ViewRow } from '../../../stores/types.ts';
import { formatCount, formatWhole } from '../../format.ts';
import { COLUMNS, type Column } from './columns.ts';
import classes from './Rows.module.css';
import { taskName } from './words.ts';

interface GridRowProps { id: string; row: ViewRow | null; place: number; top: number; active: boolean }

const Bar = () => <span className={classes.bar} />;
const Tag = ({ children }: { children: string }) => <span className={classes.tag}>{children}</span>;

function tags(row: ViewRow): ReactNode {
  return <>{row.edited && <Tag>{row.line === 0 ? 'added' : 'edited'}</Tag>}{row.held && <Tag>held out</Tag>}{row.leftOut && <Tag>left out</Tag>}</>;
}

const unit = (word: string): ReactNode => <span className={classes.phoneWord}> {word}</span>;

const CELLS: Record<Column['id'], (row: ViewRow) => ReactNode> = {
  row: (row) => formatWhole(row.index + 1),
  line: (row) => (row.line === 0 ? '–' : formatWhole(row.line)),
  task: (row) => taskName(row.task),
  prompt: (row) => <>{tags(row)}{row.prompt}</>,
  promptChars: (row) => formatCount(row.promptChars),
  answer: (row) => (row.problem ? <span className={classes.problem}>{row.problem}</span> : <>{row.answer}{row.rejected !== undefined && <span className="faint"> · rejected: {row.rejected}</span>}</>),
  answerChars: (row) => formatCount(row.answerChars),
  total: (row) => <>{formatCount(row.totalChars)}{unit('characters')}</>,
  quality: (row) => <>{unit('quality ')}{row.quality}</>,
};

export const GridRow = memo(function GridRow({ id, row, place, top, active }: GridRowProps) {
  return (
    <div
      role="row" id={id} aria-rowindex={place + 2} aria-selected={active} className={classes.gridRow} data-place={place} data-row={row?.index}
      style={{ transform: `translateY(${top}px)` }}
    >
      {COLUMNS.map(({ id: column }) => (
        <div key={column} role="gridcell" data-column={column} className={classes.cell}>
          {row ? CELLS[column](row) : (column === 'prompt' || column === 'answer') && <Bar />}
        </div>
      ))}
    </div>
  );
});
