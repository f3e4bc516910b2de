/** Where the person is: the step, open dialogs, the live region, keyboard preferences. */
import { create } from 'zustand';
import { readStored, writeStored } from './persist.ts';

export const STEPS = ['model', 'data', 'recipe', 'train', 'try', 'export'] as const;
export const PLACES = [...STEPS, 'runs'] as const;
export type Step = (typeof STEPS)[number];
export type Place = (typeof PLACES)[number];
export type DialogName = 'share' | 'shortcuts' | 'openShared';

interface SessionState {
  place: Place;
  /** Rises with every change of place, so that the new heading takes the focus once. */
  visit: number;
  /** The recipe has been looked at, so its defaults count as chosen. */
  recipeSeen: boolean;
  announcement: string;
  dialog: DialogName | null;
  /** Single-letter shortcuts are on. */
  singleKeys: boolean;
}

export const useSession = create<SessionState>(() => ({
  place: 'model', visit: 0, recipeSeen: false, announcement: '', dialog: null, singleKeys: readStored('singleKeys') !== false,
}));

const placeOfHash = (hash: string): Place | null => PLACES.find((p) => hash === `#/${p}`) ?? null;

export function goTo(place: Place): void {
  if (typeof location !== 'undefined' && location.hash !== `#/${place}`) history.pushState(null, '', `#/${place}`);
  arrive(place);
}

const arrive = (place: Place): void =>
  useSession.setState((s) => ({ place, visit: s.visit + 1, recipeSeen: s.recipeSeen || place === 'recipe' }));

/** Follows Back, Forward and hand-typed fragments. */
export function followHash(): void {
  const place = placeOfHash(location.hash);
  if (place && place !== useSession.getState().place) arrive(place);
}

export const openDialog = (dialog: DialogName): void => useSession.setState({ dialog });
export const closeDialog = (): void => useSession.setState({ dialog: null });

/** Read out politely by screen readers. */
export const announce = (announcement: string): void => useSession.setState({ announcement });

export function setSingleKeys(singleKeys: boolean): void {
  writeStored('singleKeys', singleKeys);
  useSession.setState({ singleKeys });
}
