/** Links that carry a recipe: making one, and looking at one before anything is taken from it. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import type { Recipe } from '../config/recipe.ts';
import { decodeShare, hasShare, shareLink } from '../config/shareUrl.ts';
import { expectDataset } from './expected.ts';
import { chooseHub } from './model.ts';
import { setRecipe } from './recipe.ts';
import { goTo, openDialog } from './session.ts';

interface ShareState {
  /** A recipe someone sent, not taken yet. */
  incoming: { recipe: Recipe; refused: string[] } | null;
  error: UserMessage | null;
}

export const useShare = create<ShareState>(() => ({ incoming: null, error: null }));

export const linkFor = (recipe: Recipe): string => shareLink(location.href, recipe);

/** Reads a link or fragment and shows what it holds; takes nothing yet. */
export function readLink(text: string): void {
  const read = decodeShare(text.trim());
  useShare.setState('error' in read ? { incoming: null, error: read.error } : { incoming: read, error: null });
}

/** A page opened by a share link asks first. The fragment leaves the address, so that a reload does not ask again. */
export function openFragment(hash: string): void {
  if (!hasShare(hash)) return;
  readLink(hash);
  history.replaceState(null, '', '#/recipe');
  openDialog('openShared');
}

export const forgetLink = (): void => useShare.setState({ incoming: null, error: null });

/** The recipe in use becomes the one that was sent; nothing is loaded or started. */
export function takeIncoming(): void {
  const { incoming } = useShare.getState();
  if (!incoming) return;
  setRecipe(incoming.recipe);
  const { source, name, revision } = incoming.recipe.model;
  // Chosen, not loaded: a link never downloads by itself.
  expectDataset(incoming.recipe.dataset);
  if (source === 'hub') chooseHub({ repo: name, ...(revision === undefined ? {} : { revision }) });
  forgetLink();
  goTo('recipe');
}
