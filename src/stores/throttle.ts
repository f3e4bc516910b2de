/** Calls `fn` at most once every `ms`: at once when it has been quiet, and once more at the end of a burst. */
export function throttle(fn: () => void, ms: number): { call: () => void; flush: () => void; cancel: () => void } {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let again = false;
  const run = () => {
    again = false;
    timer = setTimeout(() => {
      timer = null;
      if (again) run();
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
