/** All rows, a million of them if need be: pages are fetched as they scroll into view. A row opens in the inspector. */
import { useMediaQuery } from '@mantine/hooks';
import { observeElementOffset, useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useReducer, useRef, useState } from 'react';
import { clearFilter, inspectRow, useData } from '../../stores/data.ts';
import { RowsCache } from '../../stores/rowsCache.ts';
import type { DatasetSummary } from '../../stores/types.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { formatWhole } from '../format.ts';
import classes from './Data.module.css';
import { rowTop, tallList } from './tallList.ts';

interface RowProps { cache: RowsCache; index: number; top: number }

function Row({ cache, index, top }: RowProps) {
  const row = cache.get(index);
  return (
    <button
      type="button" className={classes.tableRow} style={{ transform: `translateY(${top}px)` }} onClick={() => inspectRow(index)} data-row={index}
    >
      <span className={classes.number}><span className="hidden">Row </span>{formatWhole(index + 1)}</span>
      <span>{row ? row.prompt : <span className={classes.bar} />}</span>
      {row?.problem ? <span className={classes.problem}>{row.problem}</span> : <span>{row ? row.answer : <span className={classes.bar} />}{row?.rejected !== undefined && <span className="faint"> · rejected: {row.rejected}</span>}</span>}
    </button>
  );
}

export function TableView({ dataset }: { dataset: DatasetSummary }) {
  const filter = useData((s) => s.filter);
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const [cache] = useState(() => new RowsCache(dataset.id, redraw));
  const box = useRef<HTMLDivElement>(null);
  const rowHeight = (useMediaQuery('(max-width: 639px)', false, { getInitialValueInEffect: false }) ?? false) ? 56 : 36;
  const count = filter ? filter.rows.length : dataset.rows;
  const list = tallList(count, rowHeight, box.current?.clientHeight ?? 600);

  const virtualizer = useVirtualizer({
    count,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 8,
    scrollMargin: 0,
    observeElementOffset: (instance, report) => observeElementOffset(instance, (offset, scrolling) => report(offset * list.ratio, scrolling)),
    scrollToFn: (offset) => { if (box.current) box.current.scrollTop = offset / list.ratio; },
  });
  useEffect(() => virtualizer.measure(), [virtualizer, rowHeight]);
  const scrollTop = (virtualizer.scrollOffset ?? 0) / list.ratio;

  return (
    <div>
      {filter && (
        <p className="caption" style={{ marginBottom: 8 }}>
          {filter.title}{filter.total > filter.rows.length ? `, the first ${formatWhole(filter.rows.length)}` : ''}.{' '}
          <button type="button" className="link" onClick={clearFilter}>Show all rows</button>
        </p>
      )}
      {cache.error && <ErrorPanel error={cache.error} />}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must take the keyboard */}
      <div ref={box} className={classes.tableBox} data-testid="rows-table" role="region" aria-label={`Rows of ${dataset.name}`} tabIndex={0}>
        <div className={classes.tableHead} aria-hidden="true"><span className={classes.number}>Row</span><span>Prompt</span><span>Answer</span></div>
        <div style={{ height: list.height, position: 'relative' }}>
          {virtualizer.getVirtualItems().map((item) => (
            <Row key={item.key} cache={cache} index={filter ? filter.rows[item.index]! : item.index} top={rowTop(list, item.start, scrollTop)} />
          ))}
        </div>
      </div>
    </div>
  );
}
