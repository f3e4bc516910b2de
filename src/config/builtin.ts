/** What ships with the studio, in figures. A test compares them with the files. */

export const BUILTIN_MODEL = {
  name: 'builtin',
  title: 'Built-in model',
  parameters: 1_049_728,
  /** Of model.safetensors. */
  bytes: 2_103_480,
} as const;

export const BUILTIN_DATA = {
  name: 'builtin',
  title: 'Built-in data',
  rows: 480,
  heldOutRows: 275,
  /** Of train.jsonl. */
  bytes: 61_231,
} as const;
