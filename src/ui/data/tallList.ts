/**
 * Lists taller than a browser can lay out (about 17 million pixels): the scroll bar is scaled, rows keep their height.
 * Pure: offsets of the full list are "virtual", those of the scrolled element "real".
 */

export const MAX_HEIGHT = 8_000_000;

export interface TallList {
  /** Height of the scrolled content. */
  height: number;
  /** Virtual pixels moved for each real one. */
  ratio: number;
}

export function tallList(rows: number, rowHeight: number, viewHeight: number): TallList {
  const full = rows * rowHeight;
  if (full <= MAX_HEIGHT) return { height: full, ratio: 1 };
  return { height: MAX_HEIGHT, ratio: (full - viewHeight) / (MAX_HEIGHT - viewHeight) };
}

/** Where a row with virtual start `start` is put, while the view is scrolled to `scrollTop`. */
export const rowTop = (list: TallList, start: number, scrollTop: number): number => start - scrollTop * list.ratio + scrollTop;
