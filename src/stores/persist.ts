/** Small settings in localStorage; a blocked or full storage is the same as an empty one. */

export function readStored(key: string): unknown {
  try {
    const text = localStorage.getItem(`etude.${key}`);
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function writeStored(key: string, value: unknown): void {
  try {
    localStorage.setItem(`etude.${key}`, JSON.stringify(value));
  } catch {
    // Private windows may refuse: the setting then lasts as long as the page.
  }
}
