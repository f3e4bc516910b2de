/**
 * Owns two questions JSON.parse does not answer. Does an object name the same key twice? (JSON.parse keeps the last, so a
 * file could say one thing to us and another to a different reader.) Does it nest deeper than anything real, so that
 * parsing takes seconds a megabyte and whoever walks the result runs out of stack?
 */
/** No config, index, header or tokenizer nests half as deep. */
const MAX_DEPTH = 64;

/** True as soon as brackets outside of strings nest deeper than 64. Takes any text. */
export function isTooDeep(json: string): boolean {
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const c = json.charCodeAt(i);
    if (c === 0x22) i = endOfString(json, i);
    else if (c === 0x7b || c === 0x5b) depth++;
    else if (c === 0x7d || c === 0x5d) depth--;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}

/** The first key that occurs twice in one object of `json`, or null. `json` must be valid JSON. */
export function findDuplicateKey(json: string): string | null {
  // One set of keys for each object around the current place; null for an array.
  const open: (Set<string> | null)[] = [];
  for (let i = 0; i < json.length; i++) {
    const c = json[i];
    if (c === '{') open.push(new Set());
    else if (c === '[') open.push(null);
    else if (c === '}' || c === ']') open.pop();
    else if (c === '"') {
      const end = endOfString(json, i);
      const keys = open.at(-1);
      if (keys && isKey(json, end + 1)) {
        const key: string = JSON.parse(json.slice(i, end + 1));
        if (keys.has(key)) return key;
        keys.add(key);
      }
      i = end;
    }
  }
  return null;
}

/** Index of the closing quote of the string that opens at `start`. */
function endOfString(json: string, start: number): number {
  let i = start + 1;
  while (i < json.length && json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
  return i;
}

function isKey(json: string, afterString: number): boolean {
  let i = afterString;
  while (i < json.length && ' \t\n\r'.includes(json[i]!)) i++;
  return json[i] === ':';
}
