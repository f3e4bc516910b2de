/**
 * Owns the hub's protocol: search, what a repository holds at a commit, and its files by ranges. Speaks to one host; the
 * hub redirects downloads to others, and the token goes to the first alone. Refuses to know what files mean and where they are kept.
 * Written on fetch: @huggingface/hub brings a WebAssembly chunker, which the page's policy forbids, and takes no abort signal.
 * Protocol: https://huggingface.co/docs/hub/api
 */
import { EtudeError } from '../config/errors.ts';
import { badToken, hubBusy, hubDown, needsToken, noAccess, noFile, noRevision, notFound, oldBrowser, unexpectedAnswer, unreachable, type RepoKind } from './messages.ts';
import { retrying, type RetryOptions } from './retry.ts';

export interface HubRepo {
  /** The name as the hub writes it now; a renamed repository answers under its new one. */
  repo: string;
  commit: string;
  gated: boolean;
  licence: string | null;
  architecture: string | null;
  parameters: number | null;
}

export interface HubListing {
  repo: string;
  downloads: number;
  likes: number;
  gated: boolean;
  licence: string | null;
  architecture: string | null;
  parameters: number | null;
  safetensors: boolean;
  /** How its weights are quantised, or null. */
  quantisation: string | null;
}

/** A file of the tree. `sha256` where it lies in large storage; `oid` is the git blob's SHA-1 otherwise. */
export interface HubTreeFile { path: string; bytes: number; oid: string; sha256: string | null }

/** A repository, a model's where it does not say. */
export interface RepoRef { repo: string; kind?: RepoKind }
export interface FileRef extends RepoRef { commit: string; path: string }

export interface HubClientOptions extends RetryOptions {
  /** Without a slash at its end, e.g. https://huggingface.co. */
  endpoint: string;
  token: () => string | null;
  fetch?: typeof fetch;
  /** Milliseconds without an answer after which a request counts as failed. */
  stall?: number;
}

export const STALL = 30_000;
/** For answers a person waits for. */
const TRIES = 3;

const EXPAND = ['downloads', 'likes', 'gated', 'safetensors', 'config', 'tags'];
/** A tree has 1,000 entries a page; a model folder that needs more than this is none. */
const MAX_PAGES = 20;

type Json = Record<string, unknown>;

export class HubClient {
  readonly #options: HubClientOptions;

  constructor(options: HubClientOptions) {
    this.#options = options;
  }

  get host(): string {
    return new URL(this.#options.endpoint).host;
  }

  /** Text models whose name holds `query`, most downloaded first. */
  async search(query: string, limit: number, signal: AbortSignal): Promise<HubListing[]> {
    const url = this.#url('/api/models');
    for (const [key, value] of Object.entries({ search: query, pipeline_tag: 'text-generation', sort: 'downloads', direction: '-1', limit: String(limit) })) url.searchParams.append(key, value);
    for (const key of EXPAND) url.searchParams.append('expand', key);
    const { value } = await this.#json(url, 'the search', (status) => (status === 401 ? badToken() : null), signal);
    if (!Array.isArray(value)) throw new EtudeError(unexpectedAnswer('the search', 'it is not a list'));
    return value.filter(isObject).filter((m) => typeof m['id'] === 'string').map(readListing);
  }

  /** What `revision` is now. */
  async repo(repo: string, revision: string, signal: AbortSignal, kind: RepoKind = 'model'): Promise<HubRepo> {
    const url = this.#url(`/api/${kind}s/${repo.split('/').map(encodeURIComponent).join('/')}/revision/${encodeURIComponent(revision)}`);
    const { value } = await this.#json(url, repo, (status, code) => this.#refusal(status, code, { repo, kind }, revision, null), signal);
    if (!isObject(value) || typeof value['id'] !== 'string' || typeof value['sha'] !== 'string') throw new EtudeError(unexpectedAnswer(repo, 'it names no commit'));
    const { gated, licence, architecture, parameters } = readListing(value);
    return { repo: value['id'], commit: value['sha'], gated, licence, architecture, parameters };
  }

  /** Every file at a commit, page by page. */
  async tree(repo: string, commit: string, signal: AbortSignal, kind: RepoKind = 'model'): Promise<HubTreeFile[]> {
    const files: HubTreeFile[] = [];
    let url: URL | null = this.#url(`/api/${kind}s/${repo.split('/').map(encodeURIComponent).join('/')}/tree/${encodeURIComponent(commit)}`);
    url.searchParams.set('recursive', 'true');
    for (let page = 0; url !== null; page++) {
      if (page === MAX_PAGES) throw new EtudeError(unexpectedAnswer(`the files of ${repo}`, `it goes on after ${MAX_PAGES} pages`));
      const { value, next }: { value: unknown; next: string | null } = await this.#json(url, `the files of ${repo}`, (status, code) => this.#refusal(status, code, { repo, kind }, commit, null), signal);
      if (!Array.isArray(value)) throw new EtudeError(unexpectedAnswer(`the files of ${repo}`, 'it is not a list'));
      for (const entry of value.filter(isObject)) if (entry['type'] === 'file') files.push(readTreeFile(entry, repo));
      url = next === null ? null : this.#nextPage(next, url, repo);
    }
    return files;
  }

  /**
   * One try at a file, or at bytes [start, end) of it. Resolves with a body to read; throws RetryLater for what may pass,
   * an EtudeError for what will not.
   */
  async open(file: FileRef, range: { start: number; end: number } | null, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const { repo, commit, path, kind } = file;
    const url = this.#url(`/${[...(kind === 'dataset' ? ['datasets'] : []), ...repo.split('/'), 'resolve', commit, ...path.split('/')].map(encodeURIComponent).join('/')}`);
    const response = await this.#fetch(url, signal, range ? { Range: `bytes=${range.start}-${range.end - 1}` } : {});
    await this.#check(response, path, (status, code) => this.#refusal(status, code, file, commit, path));
    if (range && response.status !== 206) {
      void response.body?.cancel();
      throw new EtudeError(unexpectedAnswer(path, `it has the whole file (status ${response.status}) where a part was asked for`));
    }
    if (response.body === null) throw new EtudeError(unexpectedAnswer(path, 'it is empty'));
    return response.body;
  }

  /** A small file as text. */
  async text(file: FileRef, signal: AbortSignal): Promise<string> {
    return retrying(async () => new Response(await this.open(file, null, signal)).text().catch((cause: unknown) => this.#lost(cause, signal)), { ...this.#options, tries: TRIES }, signal);
  }

  #url(path: string): URL {
    return new URL(`${this.#options.endpoint.replace(/\/+$/, '')}${path}`);
  }

  /** The next page lies on the same host, or the token would go elsewhere. */
  #nextPage(link: string, from: URL, repo: string): URL {
    const next = new URL(link, from);
    if (next.origin !== from.origin) throw new EtudeError(unexpectedAnswer(`the files of ${repo}`, 'its next page lies on another host'));
    return next;
  }

  #refusal(status: number, code: string | null, { repo, kind }: RepoRef, revision: string, path: string | null) {
    const token = this.#options.token() !== null;
    if (code === 'GatedRepo') return token ? noAccess(repo, kind) : needsToken(repo, kind);
    if (status === 401) return token ? badToken() : notFound(repo, kind);
    if (status === 403) return noAccess(repo, kind);
    if (status !== 404) return null;
    if (code === 'RevisionNotFound') return noRevision(repo, revision);
    return path === null ? notFound(repo, kind) : noFile(repo, path);
  }

  async #fetch(url: URL, signal: AbortSignal, headers: Record<string, string> = {}): Promise<Response> {
    const token = this.#options.token();
    // The browsers that drop Authorization on a redirect to another host also have this.
    if (token !== null && !('withResolvers' in Promise) && 'WorkerGlobalScope' in globalThis) throw new EtudeError(oldBrowser());
    const send = this.#options.fetch ?? fetch;
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(new Error('no answer')), this.#options.stall ?? STALL);
    return send(url, {
      headers: { ...headers, ...(token === null ? {} : { Authorization: `Bearer ${token}` }) },
      // Nothing of the browser's own goes along, and what is cached is cached once, by us.
      credentials: 'omit', referrerPolicy: 'no-referrer', cache: 'no-store', signal: AbortSignal.any([signal, silence.signal]),
    }).catch((cause: unknown) => this.#lost(cause, signal)).finally(() => clearTimeout(timer));
  }

  #lost(cause: unknown, signal: AbortSignal): never {
    if (signal.aborted) throw cause;
    throw new RetryLater(unreachable(this.host), null, cause);
  }

  async #check(response: Response, what: string, refusal: Refusal): Promise<void> {
    if (response.ok) return;
    const { status } = response;
    void response.body?.cancel().catch(() => {});
    if (status === 429) {
      const seconds = secondsToWait(response.headers);
      throw new RetryLater(hubBusy(seconds), seconds);
    }
    if (status >= 500 || status === 408) throw new RetryLater(hubDown(status, what), null);
    throw new EtudeError(refusal(status, response.headers.get('X-Error-Code')) ?? unexpectedAnswer(what, `status ${status}`));
  }

  #json(url: URL, what: string, refusal: Refusal, signal: AbortSignal): Promise<{ value: unknown; next: string | null }> {
    return retrying(async () => {
      const response = await this.#fetch(url, signal);
      await this.#check(response, what, refusal);
      const text = await response.text().catch((cause: unknown) => this.#lost(cause, signal));
      try {
        return { value: JSON.parse(text) as unknown, next: nextLink(response.headers.get('Link')) };
      } catch {
        throw new EtudeError(unexpectedAnswer(what, 'it is not JSON'));
      }
    }, { ...this.#options, tries: TRIES }, signal);
  }
}

type Refusal = (status: number, code: string | null) => ConstructorParameters<typeof EtudeError>[0] | null;

/** Something that may pass: too many requests, trouble at the hub, a broken connection. Carries its message for when it does not. */
export class RetryLater extends EtudeError {
  /** As the hub asks, where a page may read it. */
  readonly seconds: number | null;

  constructor(message: ConstructorParameters<typeof EtudeError>[0], seconds: number | null, cause?: unknown) {
    super(message, { cause });
    this.seconds = seconds;
  }
}

/** Retry-After in seconds or as a date, or the t of RateLimit: "api";r=0;t=55. */
function secondsToWait(headers: Headers): number | null {
  const after = headers.get('Retry-After');
  if (after !== null && /^\d+$/.test(after)) return Number(after);
  if (after !== null && !Number.isNaN(Date.parse(after))) return Math.max(0, (Date.parse(after) - Date.now()) / 1000);
  const reset = /;\s*t=(\d+)/.exec(headers.get('RateLimit') ?? '');
  return reset ? Number(reset[1]) : null;
}

const nextLink = (header: string | null): string | null => /<([^>]+)>\s*;\s*rel="next"/.exec(header ?? '')?.[1] ?? null;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const count = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);

function readListing(m: Json): HubListing {
  const tags = Array.isArray(m['tags']) ? m['tags'].filter((t) => typeof t === 'string') : [];
  const config = isObject(m['config']) ? m['config'] : {};
  const architectures = config['architectures'];
  const weights = isObject(m['safetensors']) ? m['safetensors'] : null;
  const card = isObject(m['cardData']) ? m['cardData']['license'] : undefined;
  const method = isObject(config['quantization_config']) ? config['quantization_config']['quant_method'] ?? '' : null;
  return {
    repo: String(m['id']),
    downloads: count(m['downloads']),
    likes: count(m['likes']),
    gated: m['gated'] === 'auto' || m['gated'] === 'manual' || m['gated'] === true,
    licence: tags.find((t) => t.startsWith('license:'))?.slice('license:'.length) ?? (typeof card === 'string' ? card : null),
    architecture: Array.isArray(architectures) && typeof architectures[0] === 'string' ? architectures[0] : null,
    parameters: weights && typeof weights['total'] === 'number' ? weights['total'] : null,
    safetensors: weights !== null || tags.includes('safetensors'),
    quantisation: method === null ? null : typeof method === 'string' && method !== '' ? method : 'quantised',
  };
}

function readTreeFile(entry: Json, repo: string): HubTreeFile {
  const lfs = isObject(entry['lfs']) ? entry['lfs'] : null;
  const { path, oid } = entry;
  const bytes = lfs ? lfs['size'] : entry['size'];
  const sha256 = lfs ? lfs['oid'] : null;
  const usable = typeof path === 'string' && typeof oid === 'string' && /^[0-9a-f]{40}$/.test(oid) && Number.isSafeInteger(bytes) && (bytes as number) >= 0
    && (sha256 === null || (typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)));
  if (!usable) throw new EtudeError(unexpectedAnswer(`the files of ${repo}`, 'a file has no path, size or checksum'));
  return { path, bytes: bytes as number, oid, sha256: sha256 as string | null };
}
