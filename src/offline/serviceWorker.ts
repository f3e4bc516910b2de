/// <reference lib="webworker" />
/**
 * Owns the page without a network: keeps every file of the build, model and data included, and answers with them. A new
 * version is fetched beside the old one and waits until the page says go. Knows nothing of the hub; its files are cached elsewhere.
 * Written out rather than generated: vite-plugin-pwa brings 315 packages for what is said here.
 */

/** Files of the build by path below the page's folder, each with its checksum; the build puts them in (scripts/offlinePlugin.ts). */
const files = JSON.parse('__ETUDE_FILES__') as Record<string, string>;

const scope = globalThis as unknown as ServiceWorkerGlobalScope;
const CACHE = 'etude-app';
const PAGE = 'index.html';

/** Where a file of this version lies in the cache: its address with its checksum, so that versions lie beside each other. */
const keyOf = (path: string): string => new URL(`${path}?checksum=${files[path]}`, scope.registration.scope).href;

/** The path of a request below the page's folder, or null. */
function pathOf(request: Request): string | null {
  const base = new URL(scope.registration.scope);
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== base.origin || !url.pathname.startsWith(base.pathname)) return null;
  return decodeURIComponent(url.pathname.slice(base.pathname.length)) || PAGE;
}

async function keepAll(): Promise<void> {
  const cache = await caches.open(CACHE);
  for (const path of Object.keys(files)) {
    const key = keyOf(path);
    if (await cache.match(key)) continue;
    const response = await fetch(new URL(path, scope.registration.scope), { cache: 'no-cache' });
    if (!response.ok) throw new Error(`${path}: status ${response.status}`);
    await cache.put(key, response);
  }
}

/** Files of older versions go, unless another tab may still be running one. */
async function forgetOld(): Promise<void> {
  const tabs = await scope.clients.matchAll({ type: 'window', includeUncontrolled: true });
  if (tabs.length > 1) return;
  const cache = await caches.open(CACHE);
  const present = new Set(Object.keys(files).map(keyOf));
  for (const request of await cache.keys()) if (!present.has(request.url)) await cache.delete(request);
}

async function answer(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  // A tab of an older version may still ask for parts of it.
  const kept = Object.hasOwn(files, path) ? await cache.match(keyOf(path)) : await cache.match(request, { ignoreSearch: true });
  return kept ?? fetch(request);
}

scope.addEventListener('install', (event) => event.waitUntil(keepAll()));
scope.addEventListener('activate', (event) => event.waitUntil(forgetOld()));
scope.addEventListener('fetch', (event) => {
  const path = pathOf(event.request);
  if (path !== null && (Object.hasOwn(files, path) || path.startsWith('assets/'))) event.respondWith(answer(path, event.request));
});
scope.addEventListener('message', (event) => {
  if (event.data === 'etude.update') void scope.skipWaiting();
});
