/** Tells the worker when the page is hidden and when it is looked at again. */
import { useEffect } from 'react';
import { setWatched } from '../../stores/device.ts';

export function useWatched(): void {
  useEffect(() => {
    const tell = () => void setWatched(!document.hidden);
    // A page that opens in the background is not looked at either.
    if (document.hidden) tell();
    document.addEventListener('visibilitychange', tell);
    return () => document.removeEventListener('visibilitychange', tell);
  }, []);
}
