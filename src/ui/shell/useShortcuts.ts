/** Keyboard: 1 to 7 and ? everywhere; the others belong to their screens. Off in fields, and when switched off. */
import { useEffect } from 'react';
import { goTo, openDialog, PLACES, useSession } from '../../stores/session.ts';

const inField = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && !isToggle(target));

const isToggle = (target: HTMLElement): boolean => target instanceof HTMLInputElement && /^(checkbox|radio|button)$/.test(target.type);

/** Calls `handler` for single keys, where they are allowed. */
export function useSingleKeys(handler: (key: string) => boolean | void): void {
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || inField(event.target)) return;
      const { singleKeys, dialog } = useSession.getState();
      if (!singleKeys || dialog) return;
      if (handler(event.key)) event.preventDefault();
    };
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  }, [handler]);
}

function globalKey(key: string): boolean {
  const place = PLACES[Number(key) - 1];
  if (/^[1-7]$/.test(key) && place) {
    goTo(place);
    return true;
  }
  if (key === '?') {
    openDialog('shortcuts');
    return true;
  }
  return false;
}

export const useGlobalShortcuts = (): void => useSingleKeys(globalKey);
