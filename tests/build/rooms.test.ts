import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const source = resolve(dirname(fileURLToPath(import.meta.url)), '../../src');

/** Rooms each room may import from; a path with an extension allows that file only, 'type:' allows types only. */
const MAY_IMPORT: Record<string, string[]> = {
  config: [],
  formats: ['config'],
  data: ['config', 'formats'],
  hub: ['config', 'formats'],
  engine: ['config'],
  model: ['config', 'engine', 'formats'],
  train: ['config', 'engine', 'model', 'data/types.ts'],
  export: ['config', 'formats', 'type:model'],
  worker: ['config', 'formats', 'data', 'hub', 'engine', 'model', 'train', 'export'],
  offline: [],
  stores: ['config', 'worker/client.ts', 'type:worker/protocol.ts', 'type:data/types.ts'],
  ui: ['config', 'stores', 'type:worker/client.ts', 'type:worker/protocol.ts', 'type:data/types.ts'],
  'main.tsx': ['ui', 'stores', 'config', 'worker/client.ts'],
  cli: ['config', 'formats', 'data', 'hub', 'engine', 'model', 'train', 'export', 'worker'],
};
const CORE = ['config', 'formats', 'data', 'hub', 'engine', 'model', 'train', 'export'];

interface Import { specifier: string; typeOnly: boolean }

/** Imports and re-exports of a TypeScript file, comments left out. */
export function importsOf(text: string): Import[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
  const statements = [...code.matchAll(/^\s*(?:import|export)\s+(type\s)?[^'";]*?from\s+['"]([^'"]+)['"]/gm)]
    .map((match) => ({ specifier: match[2]!, typeOnly: match[1] !== undefined }));
  const bare = [...code.matchAll(/^\s*import\s+['"]([^'"]+)['"]/gm)].map((match) => ({ specifier: match[1]!, typeOnly: false }));
  const dynamic = [...code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)].map((match) => ({ specifier: match[1]!, typeOnly: false }));
  const urls = [...code.matchAll(/new URL\(\s*['"](\.[^'"]+\.ts)['"]/g)].map((match) => ({ specifier: match[1]!, typeOnly: false }));
  return [...statements, ...bare, ...dynamic, ...urls];
}

const filesOf = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.d.ts'))
  .map((name) => join(folder, name));

const allowed = (rules: string[], target: string, typeOnly: boolean): boolean => rules.some((rule) => {
  if (rule.startsWith('type:') && !typeOnly) return false;
  const path = rule.replace('type:', '');
  return target === path || target.startsWith(`${path}/`);
});

/** 'file imports what' for every import that its room may not have. */
function breaches(file: string): string[] {
  const name = relative(source, file).replaceAll('\\', '/');
  const room = name.split('/')[0]!;
  const rules = MAY_IMPORT[room];
  if (rules === undefined) return [`${name} lies in no known room`];
  const core = CORE.includes(room) || (room === 'worker' && name !== 'worker/client.ts');
  return importsOf(readFileSync(file, 'utf8')).flatMap(({ specifier, typeOnly }) => {
    const say = [`${name} imports ${specifier}`];
    if (!specifier.startsWith('.')) {
      const forbidden = core ? /^(node:|react|@mantine|recharts|zustand|@tabler)/ : room === 'cli' ? /^(react|@mantine)/ : /^node:/;
      return forbidden.test(specifier) ? say : [];
    }
    const target = relative(source, resolve(dirname(file), specifier.replace(/\?.*$/, ''))).replaceAll('\\', '/');
    if (target.startsWith('../')) {
      if (/^\.\.\/shaders\/.*\.wgsl$/.test(target)) return room === 'engine' ? [] : say;
      return say;
    }
    if (target === room || target.startsWith(`${room}/`)) return [];
    return allowed(rules, target, typeOnly) ? [] : say;
  });
}

describe('rooms of the house', () => {
  test('every import stays inside what its room may know', () => {
    const files = filesOf(source);
    expect(files.length).toBeGreaterThan(10);
    expect(files.flatMap(breaches)).toEqual([]);
  });

  test('a reader of imports sees static, type-only, bare, dynamic and worker imports, and no comment', () => {
    const text = "import type { A } from '../a.ts';\nimport {\n  b,\n} from '../b.ts';\nimport './c.css';\nexport * from './d.ts';\n"
      + "const e = await import('./e.ts');\nnew Worker(new URL('./f.ts', import.meta.url));\n// import x from './no.ts'\n/* import y from './no2.ts' */";
    expect(importsOf(text).map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? ' type' : ''}`).sort())
      .toEqual(['../a.ts type', '../b.ts', './c.css', './d.ts', './e.ts', './f.ts']);
  });
});
