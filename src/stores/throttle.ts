/**
 * Calls `fn` at most once every `ms`: at once when it has been quiet, and once more at the end of a burst.
 * A page that is too busy to keep the time gets as much rest again as it was late, so that drawing never fills it.
 */
const MOST_REST = 2000;

export function throttle(fn: () => void, ms: number): { call: () => void; flush: () => void; cancel: () => void } {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let again = false;
  const rested = () => {
    timer = null;
    if (again) run();
  };
  const run = () => {
    again = false;
    const due = Date.now() + ms;
    timer = setTimeout(() => {
      const late = Date.now() - due;
      if (late > ms / 4) timer = setTimeout(rested, Math.min(MOST_REST, late));
      else rested();
    }, ms);
    fn();
  };
  const cancel = () => {
    if (timer) clearTimeout(timer);
    timer = null;
    again = false;
  };
  return {
    call: () => { if (timer) again = true; else run(); },
    flush: () => { cancel(); fn(); },
    cancel,
  };
}
