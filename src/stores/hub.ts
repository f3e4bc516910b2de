/**
 * The hub as the page sees it: search, what a model would take before it is downloaded, the token, and what is cached.
 * Asks the hub only when a person does something; nothing here runs by itself or because of a link.
 */
import { create } from 'zustand';
import { toUserMessage, type UserMessage } from '../config/errors.ts';
import { refreshStorage } from './device.ts';
import type { CachedModel, HubInspection, HubModel } from './types.ts';
import { failure, request } from './worker.ts';

interface HubState {
  query: string;
  searching: boolean;
  /** null before the first search. */
  found: HubModel[] | null;
  searchError: UserMessage | null;
  inspecting: { repo: string; revision: string | null } | null;
  /** The model last looked at. */
  inspection: HubInspection | null;
  inspectError: UserMessage | null;
  /** A token is set. The token itself is kept by the worker, and by sessionStorage where the person asked for that. */
  hasToken: boolean;
  tokenRemembered: boolean;
  /** null until listed. */
  cached: CachedModel[] | null;
  cacheError: UserMessage | null;
}

export const useHub = create<HubState>(() => ({
  query: '', searching: false, found: null, searchError: null,
  inspecting: null, inspection: null, inspectError: null,
  hasToken: false, tokenRemembered: false, cached: null, cacheError: null,
}));

const RESULTS = 20;
const TOKEN_KEY = 'etude.hubToken';

let searching: AbortController | null = null;
let inspecting: AbortController | null = null;

/** An empty query forgets the results. A newer search replaces one under way. */
export async function searchHub(query: string): Promise<void> {
  searching?.abort();
  const controller = new AbortController();
  searching = controller;
  const wanted = query.trim();
  useHub.setState({ query, searching: wanted !== '', searchError: null, ...(wanted === '' ? { found: null } : {}) });
  if (wanted === '') return;
  try {
    const found = await request('hub.search', { query: wanted, limit: RESULTS }, { signal: controller.signal });
    if (searching === controller) useHub.setState({ found, searching: false });
  } catch (error) {
    if (searching === controller) useHub.setState({ searching: false, searchError: failure(error) });
  }
}

/** Looks at a repository; resolves when `inspection` or `inspectError` says what it is. */
export async function inspectHub(repo: string, revision?: string): Promise<void> {
  inspecting?.abort();
  const controller = new AbortController();
  inspecting = controller;
  useHub.setState((s) => ({
    inspecting: { repo, revision: revision ?? null }, inspectError: null, inspection: s.inspection?.repo === repo ? s.inspection : null,
  }));
  try {
    const inspection = await request('hub.inspect', { repo, ...(revision ? { revision } : {}) }, { signal: controller.signal });
    if (inspecting === controller) useHub.setState({ inspection, inspecting: null });
  } catch (error) {
    if (inspecting === controller) useHub.setState({ inspecting: null, inspection: null, inspectError: failure(error) });
  }
}

export function closeInspection(): void {
  inspecting?.abort();
  inspecting = null;
  useHub.setState({ inspecting: null, inspection: null, inspectError: null });
}

/** Gives the worker a token, or takes it away with null. `remember` keeps it in sessionStorage until the tab is closed. */
export async function setHubToken(token: string | null, remember = false): Promise<void> {
  const given = token?.trim() || null;
  storeToken(remember ? given : null);
  await request('hub.setToken', { token: given });
  useHub.setState({ hasToken: given !== null, tokenRemembered: given !== null && remember });
}

/** After a reload of the tab, or a new worker: the token a person asked to be remembered. */
export async function restoreHubToken(): Promise<void> {
  const stored = readToken();
  if (stored !== null) await setHubToken(stored, true).catch(() => {});
  else useHub.setState({ hasToken: false, tokenRemembered: false });
}

function storeToken(token: string | null): void {
  try {
    if (token === null) sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  } catch {
    // Storage is blocked: the token lasts as long as the worker.
  }
}

function readToken(): string | null {
  try {
    return sessionStorage.getItem(TOKEN_KEY);
  } catch {
    return null;
  }
}

export async function listCached(): Promise<void> {
  try {
    useHub.setState({ cached: await request('cache.list', {}), cacheError: null });
  } catch (error) {
    // Without a place to cache there is nothing to list.
    useHub.setState({ cached: [], cacheError: toUserMessage(error).code === 'storage.none' ? null : failure(error) });
  }
}

export async function deleteCached(repo: string, commit: string, kind: CachedModel['kind']): Promise<void> {
  try {
    await request('cache.delete', { repo, commit, ...(kind === 'dataset' ? { kind } : {}) });
  } catch (error) {
    useHub.setState({ cacheError: failure(error) });
    return;
  }
  await listCached();
  void refreshStorage();
}

/** The complete or begun download of a repository, newest first. */
export const cachedOf = (s: HubState, repo: string): CachedModel | null => s.cached?.find((c) => c.kind === 'model' && c.repo === repo) ?? null;

/** Asked of the page because a worker cannot, when a download begins: keeps the browser from clearing it under pressure. */
export async function askToPersist(): Promise<boolean> {
  const granted = await globalThis.navigator?.storage?.persist?.().catch(() => false);
  void refreshStorage();
  return granted ?? false;
}
