/** Owns what a person is told when the hub refuses, is slow or is not there. Never holds a token or an address with a signature. */
import { EtudeError, type UserMessage } from '../config/errors.ts';

/** What a repository holds, as a person calls it. */
export type RepoKind = 'model' | 'dataset';

const gigabytes = (bytes: number): string => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`);

export const needsToken = (repo: string, kind: RepoKind = 'model'): UserMessage => ({
  code: 'hub.gated',
  what: `${repo} is gated: the hub gives its files only to people who accepted its terms.`,
  expected: 'A token of an account with access.',
  likelyCause: 'No token was given yet.',
  nextStep: `Accept the terms on the ${kind}’s page, make a token with read access under Settings, Access Tokens on the hub, and enter it here.`,
});

export const noAccess = (repo: string, kind: RepoKind = 'model'): UserMessage => ({
  code: 'hub.noAccess',
  what: `The account of this token has no access to ${repo}.`,
  expected: `An account that accepted the ${kind}’s terms, and whose request was granted.`,
  likelyCause: 'The terms were not accepted yet, the request is still looked at, or a fine-grained token may not read gated repositories.',
  nextStep: `Open the ${kind}’s page with that account, accept the terms, and try again.`,
});

export const badToken = (): UserMessage => ({
  code: 'hub.badToken',
  what: 'The hub does not take this token.',
  expected: 'A token that begins with hf_ and has read access.',
  likelyCause: 'It was cut off when it was copied, or was revoked.',
  nextStep: 'Copy it again from Settings, Access Tokens, or remove it to read open models.',
});

export const notFound = (repo: string, kind: RepoKind = 'model'): UserMessage => ({
  code: 'hub.notFound',
  what: `The hub has no ${kind} ${repo} for you.`,
  expected: `A public ${kind}, or a private one with a token that may read it.`,
  likelyCause: 'The name is mistyped, or the repository is private.',
  nextStep: `Compare the name with the one at the top of the ${kind}’s page.`,
});

export const noRevision = (repo: string, revision: string): UserMessage => ({
  code: 'hub.noRevision',
  what: `${repo} has no revision ${revision}.`,
  expected: 'A branch, a tag or a whole commit of 40 digits.',
  likelyCause: 'The branch was deleted, or the name is mistyped.',
  nextStep: 'Leave the revision out to take main.',
});

export const noFile = (repo: string, path: string): UserMessage => ({
  code: 'hub.noFile',
  what: `${repo} lists ${path} but does not give it.`,
  likelyCause: 'The repository was changed a moment ago.',
  nextStep: 'Try again.',
});

export const hubBusy = (seconds: number | null): UserMessage => ({
  code: 'hub.busy',
  what: `The hub takes no more requests from this address for now (429)${seconds === null ? '' : `; it asks to wait ${Math.ceil(seconds)} s`}.`,
  expected: 'At most 3,000 file requests in five minutes without a token.',
  likelyCause: 'Many downloads from the same network.',
  nextStep: 'Wait five minutes and go on: what has arrived is kept. A token raises the limit.',
});

export const hubDown = (status: number, what: string): UserMessage => ({
  code: 'hub.down',
  what: `The hub answered ${status} for ${what}, several times.`,
  likelyCause: 'The hub has trouble of its own.',
  nextStep: 'Try again in some minutes: what has arrived is kept.',
});

export const unexpectedAnswer = (what: string, detail: string): UserMessage => ({
  code: 'hub.answer',
  what: `The hub’s answer for ${what} cannot be used: ${detail}.`,
  expected: 'An answer as the hub’s interface describes it.',
  likelyCause: 'A proxy between here and the hub answered in its place, or the address of the hub is set wrong.',
  nextStep: 'Open its page on the hub in a new tab to see what answers there.',
});

export const unreachable = (host: string): UserMessage => ({
  code: 'hub.unreachable',
  what: `${host} does not answer.`,
  expected: 'A connection to the hub; what is cached needs none.',
  likelyCause: 'This machine is offline, or a firewall or an extension blocks the hub.',
  nextStep: 'Check the connection and try again: what has arrived is kept.',
});

export const cutOff = (path: string, done: number, total: number): UserMessage => ({
  code: 'hub.cut',
  what: `The connection broke again and again at ${gigabytes(done)} of ${gigabytes(total)} of ${path}.`,
  likelyCause: 'The network is unsteady.',
  nextStep: 'Try again: the download goes on where it stopped.',
});

export const checksum = (path: string): UserMessage => ({
  code: 'hub.checksum',
  what: `${path} arrived with other bytes than the hub lists for it; it was deleted.`,
  expected: 'A file whose SHA-256 is the one in the hub’s listing.',
  likelyCause: 'The file was damaged on its way or on this disk.',
  nextStep: 'Load it again: only this file is downloaded once more.',
});

export const diskFull = (needed: number, room: number | null): UserMessage => ({
  code: 'storage.full',
  what: room === null
    ? `There is no room left for the rest of this download (${gigabytes(needed)}).`
    : `The rest of this download takes ${gigabytes(needed)}; there is room for ${gigabytes(room)}.`,
  expected: `${gigabytes(needed)} free.`,
  likelyCause: 'The disk is nearly full, or the browser gives this site a share of it only.',
  nextStep: 'Delete cached models or stored data, or free disk space; what has arrived is kept.',
});

export const noStorage = (): UserMessage => ({
  code: 'storage.none',
  what: 'This browser gives the page no place to keep a model.',
  expected: 'The origin-private file system, over https or on localhost.',
  likelyCause: 'A private window, storage switched off for this site, or a page opened over plain http.',
  nextStep: 'Open the page in an ordinary window over https, or download the model’s folder and drop it here.',
});

export const downloadedElsewhere = (repo: string): UserMessage => ({
  code: 'hub.elsewhere',
  what: `${repo} is being downloaded in another tab, or by another command.`,
  nextStep: 'Wait for its end, or cancel it there.',
});

export const oldBrowser = (): UserMessage => ({
  code: 'hub.oldBrowser',
  what: 'This browser would pass the token on to hosts the hub redirects to.',
  expected: 'Chrome or Edge 119, Firefox 121, Safari 17.4 or newer, which keep it from them.',
  nextStep: 'Update the browser; open models need no token.',
});

export const noSuchCached = (repo: string): EtudeError => new EtudeError({
  code: 'cache.none', what: `${repo} is not in the cache at this commit.`, nextStep: 'Look at the list again; another tab may have deleted it.',
});
