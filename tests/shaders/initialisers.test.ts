import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const folder = new URL('../../shaders/', import.meta.url);
const sources = [...readdirSync(folder), ...readdirSync(new URL('lib/', folder)).map((file) => `lib/${file}`)].filter((file) => file.endsWith('.wgsl'));

describe('shader sources', () => {
  // Dawn (npm webgpu 0.6.2) zeroes `var a: f32;` inside a loop only once, not at every turn as WGSL asks.
  it.each(sources)('%s gives every variable inside a loop or branch its first value itself', (file) => {
    const lines = readFileSync(new URL(file, folder), 'utf8').split('\n');
    expect(lines.filter((line) => /^ {4,}var [^=]*;/.test(line))).toEqual([]);
  });
});
