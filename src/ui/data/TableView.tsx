/**
 * The rows of the view as a table, a million of them if need be: pages are fetched as they scroll into view. One tab stop;
 * arrows choose a row, Enter or a press opens it.
 */
import { useMediaQuery } from '@mantine/hooks';
import { observeElementOffset, useVirtualizer } from '@tanstack/react-virtual';
import { useCallback, useEffect, useId, useLayoutEffect, useReducer, useRef, useState, type CSSProperties, type KeyboardEvent, type MouseEvent } from 'react';
import { lastRow } from '../../stores/data.ts';
import { lookAt } from '../../stores/rowPlace.ts';
import { useRows, type ShownView } from '../../stores/rowView.ts';
import { viewRows, type RowsCache } from '../../stores/rowsCache.ts';
import type { DatasetSummary, ViewRow } from '../../stores/types.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { formatWhole } from '../format.ts';
import { COLUMNS } from './rows/columns.ts';
import { GridHead } from './rows/GridHead.tsx';
import { GridRow } from './rows/GridRow.tsx';
import classes from './rows/Rows.module.css';
import { follow, revealing, rowTop, tallList, toReal, type Scrolled } from './tallList.ts';

const TABLE = { row: 36, head: 32 };
/** On a phone: three lines a row, no heads. */
const LIST = { row: 84, head: 0 };

/** Pages of the view that is shown, fetched again where rows of it have changed. */
function useViewRows({ viewId }: ShownView, redraw: () => void): RowsCache<ViewRow> {
  const [made, setMade] = useState(() => ({ viewId, cache: viewRows(viewId, redraw) }));
  if (made.viewId !== viewId) setMade({ viewId, cache: viewRows(viewId, redraw) });
  const { cache } = made;
  useEffect(() => {
    cache.open();
    return () => cache.close();
  }, [cache]);
  const revision = useRows((s) => s.revision);
  useEffect(() => {
    cache.refresh(useRows.getState().changedFrom);
    redraw();
  }, [cache, revision, redraw]);
  return cache;
}

/** Wide enough for the last row's number. */
const numberWidth = (last: number): string => `${Math.max(44, Math.ceil(formatWhole(last).length * 8.2))}px`;

interface TableViewProps {
  dataset: DatasetSummary;
  shown: ShownView;
  /** A row is open below, so the table leaves it room. */
  short: boolean;
  onOpen: () => void;
}

export function TableView({ dataset, shown, short, onOpen }: TableViewProps) {
  const id = useId();
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const cache = useViewRows(shown, redraw);
  const place = useRows((s) => s.place);
  const box = useRef<HTMLDivElement>(null);
  const narrow = useMediaQuery('(max-width: 639px)', false, { getInitialValueInEffect: false }) ?? false;
  const { row: rowHeight, head } = narrow ? LIST : TABLE;
  const { count } = shown;
  const list = tallList(count, rowHeight, (box.current?.clientHeight ?? 600) - head);
  // Scroll events come between drawings.
  const tall = useRef(list);
  useLayoutEffect(() => { tall.current = list; });
  const scrolled = useRef<Scrolled>({ real: 0, virtual: 0 });
  const scrollTo = useCallback((virtual: number) => {
    scrolled.current = { virtual, real: toReal(tall.current, virtual) };
    if (box.current) box.current.scrollTop = scrolled.current.real;
    redraw();
  }, []);

  const virtualizer = useVirtualizer({
    count,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 8,
    observeElementOffset: (instance, report) => observeElementOffset(instance, (real, scrolling) => {
      scrolled.current = follow(tall.current, scrolled.current, real);
      report(scrolled.current.virtual, scrolling);
      // At rest the scroll bar is put where the list is; rows do not move by it.
      if (!scrolling && Math.abs(toReal(tall.current, scrolled.current.virtual) - real) > 1) scrollTo(scrolled.current.virtual);
    }),
    scrollToFn: scrollTo,
  });
  useEffect(() => virtualizer.measure(), [virtualizer, rowHeight]);
  // Another view begins at its top.
  useEffect(() => scrollTo(0), [scrollTo, shown.viewId]);
  // The virtualizer's own way there ends where the real element ends.
  useEffect(() => { if (place !== null) scrollTo(revealing(tall.current, scrolled.current.virtual, place * rowHeight, rowHeight)); }, [scrollTo, place, rowHeight]);
  const focus = useRows((s) => s.focus && !s.busy);
  useEffect(() => {
    if (!focus) return;
    useRows.setState({ focus: false });
    box.current?.focus();
  }, [focus]);
  const items = virtualizer.getVirtualItems();

  const choose = (next: number) => void lookAt(Math.max(0, Math.min(count - 1, next)));
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || count === 0) return;
    const screenful = Math.max(1, Math.floor((box.current?.clientHeight ?? 0) / rowHeight) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: screenful, PageUp: -screenful, Home: -count, End: count };
    if (event.key === 'Enter' && place !== null) onOpen();
    else if (event.key in steps) choose(place === null ? (event.key === 'End' ? count - 1 : 0) : place + steps[event.key]!);
    else return;
    event.preventDefault();
  };
  const onClick = ({ target }: MouseEvent) => {
    const row = target instanceof Element ? target.closest<HTMLElement>('[data-place]') : null;
    if (!row) return;
    choose(Number(row.dataset.place));
    onOpen();
  };
  const activeId = place !== null && items.some((item) => item.index === place) ? `${id}-${place}` : undefined;
  return (
    <>
      {cache.error && <ErrorPanel error={cache.error} action={{ label: 'Read the rows again', onClick: () => useRows.setState((s) => ({ revision: s.revision + 1, changedFrom: 0 })) }} />}
      <div
        ref={box} className={classes.grid} data-testid="rows-table" role="grid" tabIndex={0} aria-label={`Rows of ${dataset.name}`} data-short={short || undefined}
        aria-rowcount={count + 1} aria-colcount={COLUMNS.length} {...(activeId ? { 'aria-activedescendant': activeId } : {})} onKeyDown={onKeyDown} onClick={onClick}
        style={{ '--number': numberWidth(lastRow(dataset) + 1) } as CSSProperties}
      >
        <GridHead />
        <div role="rowgroup" style={{ height: list.height, position: 'relative' }}>
          {items.map((item) => <GridRow key={item.key} id={`${id}-${item.index}`} row={cache.get(item.index)} place={item.index} active={item.index === place} top={rowTop(scrolled.current, item.start)} />)}
        </div>
      </div>
    </>
  );
}
