/**
 * Owns what a tokenizer.json must keep to before it is believed: ids that are one a token, merges of tokens that exist.
 * Hugging Face's library refuses most of these; tokenizers.js takes them and gives other ids. Refuses to know how text is encoded.
 */
import { EtudeError } from '../config/errors.ts';

/** Far above any published vocabulary (262,144 tokens); an id beyond it would make tables of that length. */
const MAX_ID = 2 ** 22;
const PARTS = ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'] as const;

export function refuseTokenizer(what: string): never {
  throw new EtudeError({
    code: 'model.tokenizer',
    what,
    expected: "tokenizer.json and tokenizer_config.json of a Hugging Face 'fast' tokenizer",
    likelyCause: 'The file is damaged, or it is not the tokenizer of this model.',
    nextStep: "Take both files from the model's page again.",
  });
}

export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_ID;
const quote = (text: unknown): string => {
  const written = JSON.stringify(text) ?? 'missing';
  return written.length > 80 ? `${written.slice(0, 77)}...` : written;
};

/** The parts of tokenizer.json that decide ids; throws EtudeError 'model.tokenizer'. */
export function checkTokenizerJson(json: unknown): asserts json is Record<string, unknown> & { model: { vocab: Record<string, number> } } {
  if (!isObject(json)) refuseTokenizer('tokenizer.json is not a JSON object.');
  const model = json['model'];
  // Without a type it is an early file, and BPE where it has merges.
  const type = isObject(model) ? model['type'] ?? 'BPE' : 'BPE';
  if (type !== 'BPE') refuseTokenizer(`The tokenizer is of the kind ${quote(type)}; Etude reads BPE, which all models it runs have.`);
  if (!isObject(model) || !isObject(model['vocab'])) refuseTokenizer('tokenizer.json holds no model with a vocabulary.');
  for (const part of PARTS) {
    const value = json[part];
    if (value !== undefined && value !== null && !isObject(value)) refuseTokenizer(`The ${part} of tokenizer.json is ${quote(value)}, not an object.`);
  }
  const owners = new Map<number, string>();
  for (const [token, id] of Object.entries(model['vocab'])) {
    if (!isId(id)) refuseTokenizer(`The vocabulary of tokenizer.json gives ${quote(token)} the id ${quote(id)}.`);
    const other = owners.get(id);
    if (other !== undefined) refuseTokenizer(`The vocabulary of tokenizer.json gives ${quote(other)} and ${quote(token)} the same id, ${id}.`);
    owners.set(id, token);
  }
  if (owners.size === 0) refuseTokenizer('The vocabulary of tokenizer.json is empty.');
  checkMergePairs(model['merges']);
  checkAddedTokens(json['added_tokens'], model['vocab'], owners);
}

function checkAddedTokens(tokens: unknown, vocab: Record<string, unknown>, owners: Map<number, string>): void {
  if (tokens === undefined || tokens === null) return;
  if (!Array.isArray(tokens)) refuseTokenizer('added_tokens of tokenizer.json is not a list.');
  const seen = new Set<string>();
  for (const token of tokens as unknown[]) {
    if (!isObject(token) || typeof token['content'] !== 'string' || !isId(token['id'])) refuseTokenizer(`tokenizer.json adds the token ${quote(token)}, without an id or a text.`);
    const { content, id } = token as { content: string; id: number };
    if (seen.has(content)) refuseTokenizer(`tokenizer.json adds the token ${quote(content)} twice.`);
    seen.add(content);
    const own = Object.hasOwn(vocab, content) ? vocab[content] : undefined;
    if (own !== undefined && own !== id) refuseTokenizer(`tokenizer.json gives ${quote(content)} the id ${id} as an added token and ${quote(own)} in its vocabulary.`);
    const owner = owners.get(id);
    if (owner !== undefined && owner !== content) refuseTokenizer(`tokenizer.json gives ${quote(owner)} and the added token ${quote(content)} the same id, ${id}.`);
    owners.set(id, content);
  }
}

/** Pairs of texts; whether the vocabulary has them is checkMerges'. */
function checkMergePairs(merges: unknown): void {
  if (merges === undefined || merges === null) return;
  if (!Array.isArray(merges)) refuseTokenizer('The merges of tokenizer.json are not a list.');
  for (const merge of merges as unknown[]) {
    const pair = typeof merge === 'string' ? merge.split(' ') : merge;
    if (Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string' && typeof pair[1] === 'string') continue;
    refuseTokenizer(`tokenizer.json has the merge ${quote(merge)}, which is not a pair of tokens.`);
  }
}

/** Every merge joins two tokens into a third. `merges` as checkTokenizerJson lets them pass; `has` answers for the vocabulary. */
export function checkMerges(merges: unknown, has: (token: string) => boolean): void {
  for (const merge of (merges ?? []) as (string | [string, string])[]) {
    const [left, right] = (typeof merge === 'string' ? merge.split(' ') : merge) as [string, string];
    const unknown = [left, right, left + right].find((token) => !has(token));
    if (unknown !== undefined) refuseTokenizer(`tokenizer.json merges ${quote(left)} and ${quote(right)}, but its vocabulary lacks ${quote(unknown)}.`);
  }
}
