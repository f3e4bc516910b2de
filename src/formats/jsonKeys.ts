/**
 * Owns one question JSON.parse does not answer: does an object name the same key twice?
 * (JSON.parse keeps the last, so a file could say one thing to us and another to a different reader.)
 */

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
