/**
 * A hub on this machine that speaks the Hugging Face hub's protocol: the interface, files by ranges through a redirect to a
 * second host, gated repositories, limits, and faults on demand. Its answers follow what huggingface.co sends (statuses,
 * X-Error-Code, CORS headers, Link, RateLimit). Every request is on record. Refuses to know what the files mean.
 *
 * Over plain http the hub is `localhost` and the second host 127.0.0.1, on one port. Over TLS it answers as huggingface.co
 * and cas-bridge.xethub.hf.co, for a Chromium that is told to find those names here.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parseRange } from '../../src/cli/staticServer.ts';

export interface TestRepo {
  /** Files of each commit; 40 hex digits. */
  commits: Record<string, Map<string, Uint8Array>>;
  /** Branches and tags. */
  refs: Record<string, string>;
  gated?: 'auto' | 'manual';
  /** What the interface tells besides. */
  info?: Record<string, unknown>;
  /** Files from this size lie in large storage. */
  largeFrom?: number;
  /** Another SHA-256 or size for a path than its bytes have. */
  lies?: Record<string, { sha256?: string }>;
}

export interface TestRequest { method: string; host: string; path: string; authorization: string | null; range: string | null; status: number; sent: number }

/** Answers instead of the hub, once for each of `times` matching requests. */
export interface Fault {
  match: (request: { host: string; path: string; range: string | null }) => boolean;
  times: number;
  /** Answer with this status. */
  status?: number;
  headers?: Record<string, string>;
  /** Send this many bytes of the answer, then cut the connection. */
  cutAfter?: number;
  /** Send this many bytes, then nothing more. */
  hangAfter?: number;
  /** Send other bytes. */
  corrupt?: boolean;
}

export interface HubServerOptions {
  tls?: boolean;
  /** Of models. */
  repos: Record<string, TestRepo>;
  datasets?: Record<string, TestRepo>;
  /** Tokens, and the gated repositories each may read. */
  tokens?: Record<string, string[]>;
  renamed?: Record<string, string>;
  /** Files a page of the tree. */
  pageSize?: number;
}

const EXPOSED = 'X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash';
const HUB_HOST = 'huggingface.co';
const CDN_HOST = 'cas-bridge.xethub.hf.co';
const PIECE = 64 * 1024;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const blobOid = (bytes: Uint8Array): string => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

type Answer = { status: number; headers?: Record<string, string>; body?: Uint8Array };
const json = (value: unknown, headers: Record<string, string> = {}): Answer =>
  ({ status: 200, headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers }, body: Buffer.from(JSON.stringify(value)) });
const refusal = (status: number, code: string | null, message: string): Answer => ({
  status, headers: { 'Content-Type': 'application/json; charset=utf-8', ...(code ? { 'X-Error-Code': code } : {}), 'X-Error-Message': message }, body: Buffer.from(JSON.stringify({ error: message })),
});

const drained = (response: ServerResponse): Promise<void> => new Promise((resolve) => {
  const done = (): void => {
    response.off('drain', done);
    response.off('close', done);
    resolve();
  };
  response.on('drain', done);
  response.on('close', done);
});

export class HubServer {
  readonly requests: TestRequest[] = [];
  readonly faults: Fault[] = [];
  readonly options: HubServerOptions;
  /** Bytes a second of each file connection; Infinity for as fast as it goes. */
  bytesPerSecond = Infinity;
  origin = '';
  port = 0;
  readonly #signed = new Map<string, Uint8Array>();
  readonly #sums = new WeakMap<Uint8Array, string>();
  #server: ReturnType<typeof createHttp> | null = null;

  private constructor(options: HubServerOptions) {
    this.options = options;
  }

  static async start(options: HubServerOptions): Promise<HubServer> {
    const hub = new HubServer(options);
    const tls = (name: string): Buffer => readFileSync(join(import.meta.dirname, 'tls', name));
    const listener = (request: IncomingMessage, response: ServerResponse): void => void hub.#serve(request, response).catch(() => response.destroy());
    const server = options.tls ? createHttps({ key: tls('key.pem'), cert: tls('cert.pem') }, listener) : createHttp(listener);
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    hub.#server = server as ReturnType<typeof createHttp>;
    hub.port = (server.address() as AddressInfo).port;
    hub.origin = options.tls ? `https://${HUB_HOST}` : `http://localhost:${hub.port}`;
    return hub;
  }

  /** Chromium finds the real hosts' names here. */
  get chromiumFlags(): string[] {
    return [`--host-resolver-rules=MAP ${HUB_HOST}:443 127.0.0.1:${this.port},MAP ${CDN_HOST}:443 127.0.0.1:${this.port}`, '--ignore-certificate-errors'];
  }

  /** Bytes the second host has sent since the requests were last cleared. */
  get largeBytes(): number {
    return this.requests.filter((r) => this.isCdn(r.host)).reduce((sum, r) => sum + r.sent, 0);
  }

  isCdn(host: string): boolean {
    return host === this.#cdnHost;
  }

  get #cdnHost(): string {
    return this.options.tls ? CDN_HOST : `127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise<void>((resolve) => void this.#server?.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const host = request.headers.host ?? '';
    const url = new URL(request.url ?? '/', `http://${host}`);
    const record: TestRequest = {
      method: request.method ?? 'GET', host, path: url.pathname + url.search, authorization: request.headers.authorization ?? null, range: request.headers.range ?? null, status: 0, sent: 0,
    };
    this.requests.push(record);
    const cdn = this.isCdn(host);
    const cors: Record<string, string> = cdn
      ? { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'Content-Range,Accept-Ranges,ETag' }
      : { 'Access-Control-Allow-Origin': request.headers.origin ?? 'https://huggingface.co', Vary: 'Origin, Accept', 'Access-Control-Expose-Headers': EXPOSED, 'Access-Control-Max-Age': '86400' };
    if (request.method === 'OPTIONS') {
      // The second host knows no preflight: what would need one does not reach it.
      record.status = cdn ? 403 : 204;
      const asked = request.headers['access-control-request-headers'];
      response.writeHead(record.status, { ...cors, ...(cdn ? {} : { 'Access-Control-Allow-Methods': 'GET,POST,PUT,DELETE,HEAD,OPTIONS,PATCH', ...(asked ? { 'Access-Control-Allow-Headers': asked } : {}) }) }).end();
      return;
    }
    const fault = this.faults.find((f) => f.times > 0 && f.match(record));
    if (fault) fault.times--;
    const answer = fault?.status ? { status: fault.status, headers: fault.headers ?? {} } : cdn ? this.#cdn(url, record) : this.#hub(url, record);
    await this.#send(request, response, answer, cors, record, fault);
  }

  async #send(request: IncomingMessage, response: ServerResponse, answer: Answer, cors: Record<string, string>, record: TestRequest, fault?: Fault): Promise<void> {
    const headers: Record<string, string> = { ...cors, ...answer.headers };
    let body = answer.body ?? new Uint8Array();
    let { status } = answer;
    if (status === 200 && headers['Accept-Ranges']) {
      const range = parseRange(request.headers.range, body.length);
      if (range === null) [status, body] = [416, new Uint8Array()];
      else if (range !== 'whole') {
        headers['Content-Range'] = `bytes ${range.start}-${range.end - 1}/${body.length}`;
        [status, body] = [206, body.subarray(range.start, range.end)];
      }
    }
    if (fault?.corrupt) body = Uint8Array.from(body, (b) => b ^ 1);
    if (status === 200 && /json/.test(headers['Content-Type'] ?? '') && /gzip/.test(String(request.headers['accept-encoding']))) {
      body = gzipSync(body);
      headers['Content-Encoding'] = 'gzip';
    }
    record.status = status;
    response.writeHead(status, { ...headers, 'Content-Length': String(body.length) });
    if (request.method === 'HEAD') return void response.end();
    const end = Math.min(body.length, fault?.cutAfter ?? fault?.hangAfter ?? body.length);
    for (let at = 0; at < end && !response.destroyed; at += PIECE) {
      const piece = body.subarray(at, Math.min(end, at + PIECE));
      record.sent += piece.length;
      if (!response.write(piece)) await drained(response);
      if (this.bytesPerSecond !== Infinity) await new Promise((resolve) => setTimeout(resolve, (piece.length / this.bytesPerSecond) * 1000));
    }
    if (fault?.hangAfter !== undefined) return;
    // Lets what was written out before the connection goes.
    if (fault?.cutAfter !== undefined) setTimeout(() => response.destroy(), 20);
    else response.end();
  }

  #cdn(url: URL, record: TestRequest): Answer {
    const bytes = this.#signed.get(url.searchParams.get('X-Amz-Signature') ?? '');
    // A signature and a token together are refused, as by S3.
    if (record.authorization !== null) return { status: 400, body: Buffer.from('Only one auth mechanism allowed') };
    return bytes ? { status: 200, headers: { 'Content-Type': 'application/octet-stream', 'Accept-Ranges': 'bytes', ETag: `"${this.#sum(bytes)}"` }, body: bytes } : { status: 403 };
  }

  #hub(url: URL, { authorization, path }: TestRequest): Answer {
    const token = authorization?.replace(/^Bearer /, '') ?? null;
    if (token !== null && !(token in (this.options.tokens ?? {}))) return refusal(401, null, 'Invalid credentials in Authorization header');
    const parts = url.pathname.slice(1).split('/').map(decodeURIComponent);
    if (parts[0] === 'api' && parts[1] === 'resolve-cache') return this.#resolveCache(parts[2] === 'datasets' ? 'datasets' : 'models', parts.slice(3));
    if (parts[0] === 'api' && parts[1] === 'models' && parts.length === 2) return this.#search(url);
    // A dataset's files lie below datasets/, a model's at the top.
    const kind = (parts[0] === 'api' ? parts[1] : parts[0]) === 'datasets' ? 'datasets' : 'models';
    if (parts[0] === 'datasets') parts.shift();
    const name = parts[0] === 'api' ? parts.slice(2, 4).join('/') : parts.slice(0, 2).join('/');
    const renamed = this.options.renamed?.[name];
    if (renamed) return { status: 307, headers: { Location: path.replace(name, renamed) } };
    const repo = this.#repos(kind)[name];
    if (!repo) return token === null ? refusal(401, 'RepoNotFound', 'Invalid username or password.') : refusal(404, 'RepoNotFound', 'Repository not found');
    const [what, asked, ...file] = parts[0] === 'api' ? parts.slice(4) : parts.slice(2);
    const commit = repo.refs[asked ?? ''] ?? asked ?? '';
    const files = repo.commits[commit];
    if (!files) return refusal(404, 'RevisionNotFound', `Invalid rev id: ${asked}`);
    if (parts[0] === 'api' && what === 'revision') return json({ _id: '1', id: name, modelId: name, sha: commit, gated: repo.gated ?? false, private: false, disabled: false, tags: [], downloads: 0, likes: 0, ...repo.info });
    if (parts[0] === 'api' && what === 'tree') return this.#tree(url, repo, files, commit);
    if (what === 'resolve') return this.#resolve(kind, name, repo, files, commit, file.join('/'), token);
    return refusal(404, null, 'Not found');
  }

  #repos(kind: 'models' | 'datasets'): Record<string, TestRepo> {
    return kind === 'datasets' ? this.options.datasets ?? {} : this.options.repos;
  }

  #search(url: URL): Answer {
    const wanted = (url.searchParams.get('search') ?? '').toLowerCase();
    const expand = url.searchParams.getAll('expand');
    const found = Object.entries(this.options.repos).filter(([name]) => name.toLowerCase().includes(wanted)).map(([name, repo]) => {
      const all: Record<string, unknown> = { downloads: 0, likes: 0, gated: repo.gated ?? false, tags: [], ...repo.info };
      return { _id: '1', id: name, ...Object.fromEntries(expand.filter((key) => key in all).map((key) => [key, all[key]])) };
    });
    return json(found.slice(0, Number(url.searchParams.get('limit') ?? 1000)), { RateLimit: '"api";r=499;t=300' });
  }

  #tree(url: URL, repo: TestRepo, files: Map<string, Uint8Array>, commit: string): Answer {
    const size = this.options.pageSize ?? 1000;
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const entries = [...files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, bytes]) => ({
      type: 'file', oid: blobOid(bytes), size: bytes.length, path,
      ...(this.#isLarge(repo, bytes) ? { lfs: { oid: repo.lies?.[path]?.sha256 ?? this.#sum(bytes), size: bytes.length, pointerSize: 134 }, xetHash: commit.repeat(2).slice(0, 64) } : {}),
    }));
    const next = new URL(`${this.origin}${url.pathname}${url.search}`);
    next.searchParams.set('cursor', String(from + size));
    return json([...(from === 0 ? [{ type: 'directory', oid: commit, size: 0, path: 'onnx' }] : []), ...entries.slice(from, from + size)], from + size < entries.length ? { Link: `<${next.href}>; rel="next"` } : {});
  }

  #resolve(kind: 'models' | 'datasets', name: string, repo: TestRepo, files: Map<string, Uint8Array>, commit: string, path: string, token: string | null): Answer {
    if (repo.gated && token === null) return refusal(401, 'GatedRepo', `Access to ${kind.slice(0, -1)} ${name} is restricted. You must have access to it and be authenticated to access it.`);
    if (repo.gated && !this.options.tokens?.[token!]?.includes(name)) return refusal(403, 'GatedRepo', `Access to ${kind.slice(0, -1)} ${name} is restricted and you are not in the authorized list.`);
    const bytes = files.get(path);
    if (!bytes) return refusal(404, 'EntryNotFound', 'Entry not found');
    const common = { 'X-Repo-Commit': commit, 'Accept-Ranges': 'bytes', RateLimit: '"resolvers";r=2999;t=300' };
    if (!this.#isLarge(repo, bytes)) return { status: 307, headers: { ...common, Location: `/api/resolve-cache/${kind}/${name}/${commit}/${encodeURIComponent(path)}?etag=%22${blobOid(bytes)}%22` } };
    const signature = randomBytes(16).toString('hex');
    this.#signed.set(signature, bytes);
    const scheme = this.options.tls ? 'https' : 'http';
    const location = `${scheme}://${this.#cdnHost}/xet-bridge-us/${this.#sum(bytes)}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600&X-Amz-Signature=${signature}`;
    return { status: 302, headers: { ...common, 'X-Linked-Size': String(bytes.length), 'X-Linked-ETag': `"${this.#sum(bytes)}"`, Location: location } };
  }

  /** owner/name/commit/path, on the hub's own host. */
  #resolveCache(kind: 'models' | 'datasets', parts: string[]): Answer {
    const bytes = this.#repos(kind)[`${parts[0]}/${parts[1]}`]?.commits[parts[2]!]?.get(parts.slice(3).join('/'));
    if (!bytes) return refusal(404, 'EntryNotFound', 'Entry not found');
    return { status: 200, headers: { 'Content-Type': 'application/json', ETag: `"${blobOid(bytes)}"` }, body: bytes };
  }

  #isLarge = (repo: TestRepo, bytes: Uint8Array): boolean => bytes.length >= (repo.largeFrom ?? 10_000_000);

  #sum(bytes: Uint8Array): string {
    let sum = this.#sums.get(bytes);
    if (sum === undefined) this.#sums.set(bytes, sum = sha256(bytes));
    return sum;
  }
}
