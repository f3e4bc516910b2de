/** Owns how a repository of the hub is written: 'org/name', 'org/name@revision'. */
import { EtudeError } from '../config/errors.ts';

export interface RepoName { repo: string; revision: string }

export const DEFAULT_REVISION = 'main';
const PART = /^[A-Za-z0-9][\w.-]{0,95}$/;
const REVISION = /^[A-Za-z0-9][\w.\-/]{0,99}$/;
const COMMIT = /^[0-9a-f]{40}$/;

export const isCommit = (revision: string): boolean => COMMIT.test(revision);

/** True for 'org/name' and, for models of the hub's early days, 'name'. */
export function isRepoName(text: string): boolean {
  const parts = text.split('/');
  return parts.length <= 2 && parts.every((part) => PART.test(part) && !part.includes('--') && !part.includes('..'));
}

/** `text` may carry its revision; one given apart wins. Throws EtudeError 'hub.name'. */
export function parseRepoName(text: string, revision?: string): RepoName {
  const at = text.indexOf('@');
  const repo = at < 0 ? text : text.slice(0, at);
  const asked = revision ?? (at < 0 ? DEFAULT_REVISION : text.slice(at + 1));
  if (isRepoName(repo) && REVISION.test(asked) && !asked.includes('..')) return { repo, revision: asked };
  throw new EtudeError({
    code: 'hub.name',
    what: `"${text.slice(0, 120)}"${revision === undefined ? '' : ` at "${revision.slice(0, 60)}"`} is not the name of a repository.`,
    expected: 'A name as on the hub, such as HuggingFaceTB/SmolLM2-135M, or with @ and a branch, tag or commit.',
    likelyCause: 'A whole address was given, or a name with a space in it.',
    nextStep: 'Copy the name at the top of the model’s page.',
  });
}
