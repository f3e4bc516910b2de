/**
 * Owns the link that carries a recipe: the settings that differ from the defaults, as JSON, deflated, in base64url,
 * in the part of an address that browsers never send (#recipe=...). Holds names of model and data, never data,
 * tokens or keys. A link is untrusted: reading one is bounded, validated by the form's own schemas, and starts nothing.
 */
import { deflateSync, inflateSync } from 'fflate';
import type { UserMessage } from './errors.ts';
import { readRecipe, type ReadRecipe } from './readRecipe.ts';
import { defaultRecipe, recipeSchema, type Recipe } from './recipe.ts';

const KEY = 'recipe=';
/** A recipe with every setting changed takes about 900 characters; one with weights for 32 files of long names the rest. */
const MAX_ENCODED = 24_000;
const MAX_JSON_BYTES = 32_000;

/** The fragment with its #. Throws where the recipe is not valid. */
export function encodeShare(recipe: Recipe): string {
  const json = JSON.stringify(withoutDefaults(recipeSchema.parse(recipe)));
  return `#${KEY}${toBase64Url(deflateSync(new TextEncoder().encode(json), { level: 9 }))}`;
}

/** The whole link for a page at `pageUrl`, whose own fragment is replaced. */
export const shareLink = (pageUrl: string, recipe: Recipe): string => pageUrl.split('#', 1)[0] + encodeShare(recipe);

/** True where the fragment tries to carry a recipe, readable or not. */
export const hasShare = (fragment: string): boolean => encodedPart(fragment) !== null;

/**
 * `fragment` is a location.hash, a whole link or anything else a person pasted. Never throws.
 * What a schema refuses is named in `refused` and left at its default.
 */
export function decodeShare(fragment: string): ReadRecipe | { error: UserMessage } {
  const encoded = encodedPart(fragment);
  if (encoded === null) return failed('This link carries no recipe.', 'The part after #recipe= is missing.');
  if (encoded.length > MAX_ENCODED) return failed(`The recipe in this link is ${encoded.length} characters long.`, `No recipe takes more than ${MAX_ENCODED}.`);
  try {
    if (encoded === '') throw new RangeError('nothing to inflate');
    // One byte beyond the limit is room enough to see that there was more; fflate drops what does not fit.
    const bytes = inflateSync(fromBase64Url(encoded), { out: new Uint8Array(MAX_JSON_BYTES + 1) });
    if (bytes.length > MAX_JSON_BYTES) return failed(`The recipe in this link unpacks to more than ${MAX_JSON_BYTES} bytes.`, 'No recipe takes as much.');
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return failed('This link carries something other than a recipe.', 'It was not made by Etude.');
    return readRecipe(value);
  } catch {
    return failed('The recipe in this link cannot be read.', 'The link was cut off or changed on its way.');
  }
}

const failed = (what: string, likelyCause: string): { error: UserMessage } => ({
  error: {
    code: 'share.unreadable',
    what,
    expected: 'A link made by Share, with everything after #recipe=.',
    likelyCause,
    nextStep: 'Ask for the link again, or set the recipe by hand. Your present recipe is kept.',
  },
});

function encodedPart(fragment: string): string | null {
  const hash = fragment.includes('#') ? fragment.slice(fragment.indexOf('#') + 1) : fragment;
  const part = hash.split('&').find((p) => p.startsWith(KEY));
  return part === undefined ? null : part.slice(KEY.length).trim();
}

/** Only what differs from the defaults, so that a link says what someone chose. */
function withoutDefaults(recipe: Recipe): Record<string, unknown> {
  const base = defaultRecipe();
  const differs = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b);
  const out: Record<string, unknown> = {};
  for (const key of ['model', 'dataset'] as const) if (differs(recipe[key], base[key])) out[key] = recipe[key];
  for (const group of ['data', 'lora', 'training'] as const) {
    const defaults: Record<string, unknown> = base[group];
    const changed = Object.entries(recipe[group]).filter(([name, value]) => differs(value, defaults[name]));
    if (changed.length > 0) out[group] = Object.fromEntries(changed);
  }
  return out;
}

const toBase64Url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

function fromBase64Url(text: string): Uint8Array {
  if (!/^[\w-]*$/.test(text)) throw new SyntaxError('not base64url');
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
}
