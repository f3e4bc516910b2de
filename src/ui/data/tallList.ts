/**
 * Lists taller than a browser can lay out (about 17 million pixels): rows keep their height and move with the wheel pixel by
 * pixel; only the scroll bar is scaled. Offsets of the full list are "virtual", those of the scrolled element "real". Pure.
 */

export const MAX_HEIGHT = 8_000_000;
/** At both ends a real pixel is a virtual one, so that nothing there has to be put right. */
const END = 1_000_000;

export interface TallList {
  /** Height of the scrolled content, real pixels. */
  height: number;
  /** Most that can be scrolled: virtual and real. */
  virtualMost: number;
  realMost: number;
  viewHeight: number;
}

export function tallList(rows: number, rowHeight: number, viewHeight: number): TallList {
  const full = rows * rowHeight;
  const height = Math.min(full, MAX_HEIGHT);
  return { height, virtualMost: Math.max(0, full - viewHeight), realMost: Math.max(0, height - viewHeight), viewHeight };
}

const slope = ({ virtualMost, realMost }: TallList): number => (virtualMost - 2 * END) / (realMost - 2 * END);
const clamp = (x: number, most: number): number => Math.max(0, Math.min(most, x));

/** Where the scroll bar stands for a place in the list. */
export function toReal(list: TallList, virtual: number): number {
  const { virtualMost, realMost } = list;
  if (virtualMost === realMost || virtual <= END) return clamp(virtual, realMost);
  if (virtual >= virtualMost - END) return clamp(realMost - (virtualMost - virtual), realMost);
  return END + (virtual - END) / slope(list);
}

/** The place in the list the scroll bar stands for. */
export function toVirtual(list: TallList, real: number): number {
  const { virtualMost, realMost } = list;
  if (virtualMost === realMost || real <= END) return clamp(real, virtualMost);
  if (real >= realMost - END) return clamp(virtualMost - (realMost - real), virtualMost);
  return END + (real - END) * slope(list);
}

export interface Scrolled { real: number; virtual: number }

/**
 * Where the list is after the element was scrolled to `real`: by wheel, keys or finger as far as they moved it, by the scroll
 * bar where it stands.
 */
export function follow(list: TallList, before: Scrolled, real: number): Scrolled {
  const moved = real - before.real;
  const near = Math.abs(moved) <= list.viewHeight && real > 0 && real < list.realMost;
  return { real, virtual: near ? clamp(before.virtual + moved, list.virtualMost) : toVirtual(list, real) };
}

/** The place to scroll to so that a row is in view: no further than needed. */
export const revealing = ({ viewHeight }: TallList, virtual: number, start: number, rowHeight: number): number =>
  Math.max(Math.min(virtual, start), start + rowHeight - viewHeight);

/** Real top of a row with virtual start `start`. */
export const rowTop = ({ real, virtual }: Scrolled, start: number): number => start - virtual + real;
