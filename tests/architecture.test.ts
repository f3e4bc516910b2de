/** The house rules besides who may import whom (tests/build/rooms.test.ts): no page and no Node in the core, short files, no circles. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const MAX_LINES = 450;

/** Run in a worker and in Node alike: no page, no React, no node. */
const CORE = ['config', 'formats', 'data', 'hub', 'engine', 'model', 'train', 'export'];

interface Source {
  /** Below src/, e.g. model/lora.ts. */
  path: string;
  room: string;
  text: string;
  /** As written, with those of types. */
  imports: { specifier: string; typeOnly: boolean }[];
}

const IMPORT = /(?:^|[;}\s])(?:(import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?|(import)\s*\(\s*)['"]([^'"\n]+)['"]/g;
const WORKER_URL = /new URL\(\s*['"](\.[^'"\n]+\.ts)['"]\s*,\s*import\.meta\.url\s*\)/g;

function importsOf(text: string): Source['imports'] {
  const code = withoutComments(text);
  return [
    ...[...code.matchAll(IMPORT)].map((match) => ({ specifier: match[4]!, typeOnly: match[2] !== undefined })),
    ...[...code.matchAll(WORKER_URL)].map((match) => ({ specifier: match[1]!, typeOnly: false })),
  ];
}

const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/(^|[^:'"`\\])\/\/[^\n]*/g, '$1');
/** Comments, texts and keys of objects gone: what is left are names that code uses. */
const withoutTexts = (text: string): string => withoutComments(text).replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\$]|\\.|\$(?!\{))*`/g, "''");

const sources: Source[] = readdirSync(`${ROOT}src`, { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => /\.tsx?$/.test(path) && !path.endsWith('.d.ts'))
  .sort()
  .map((path) => {
    const text = readFileSync(`${ROOT}src/${path}`, 'utf8');
    return { path, room: path.includes('/') ? path.split('/')[0]! : '', text, imports: importsOf(text) };
  });

/** True where `name` is read as a global: not as a property, and not where the file has a variable of that name. */
const usesGlobal = (code: string, name: string): boolean =>
  new RegExp(`(?<![\\w.$#])${name}\\s*[.[(]`).test(code) && !new RegExp(`(?:const|let|function)\\s+${name}\\b|[(,]\\s*${name}\\s*[,:)]`).test(code);

/** The target of a relative import below the project, e.g. src/config/errors.ts or shaders/adamw.wgsl. */
const resolve = (from: string, specifier: string): string => posix.normalize(posix.join('src', posix.dirname(from), specifier.replace(/\?\w+$/, '')));

describe('the house', () => {
  it('is read whole', () => {
    expect(sources.length).toBeGreaterThan(40);
    expect(CORE.filter((room) => !sources.some((s) => s.room === room))).toEqual([]);
  });

  it('relative imports carry their extension', () => {
    const without = sources.flatMap((s) => s.imports.filter((i) => i.specifier.startsWith('.') && !/\.\w+(\?\w+)?$/.test(i.specifier)).map((i) => `${s.path}: ${i.specifier}`));
    expect(without).toEqual([]);
  });

  it('the core uses nothing that only a page has', () => {
    const page = ['window', 'document', 'self', 'navigator', 'location', 'localStorage', 'sessionStorage', 'alert', 'process', 'Buffer', 'require'];
    const uses = sources.filter((s) => CORE.includes(s.room)).flatMap((s) => {
      const code = withoutTexts(s.text);
      return page.filter((name) => usesGlobal(code, name)).map((name) => `${s.path} uses ${name}`);
    });
    expect(uses).toEqual([]);
  });

  it('no file has more than 450 lines', () => {
    const shaders = readdirSync(`${ROOT}shaders`, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.wgsl'))
      .map((path) => ({ path: `shaders/${path}`, text: readFileSync(`${ROOT}shaders/${path}`, 'utf8') }));
    const long = [...sources, ...shaders].map((s) => ({ path: s.path, lines: s.text.split('\n').length })).filter((s) => s.lines > MAX_LINES);
    expect(long).toEqual([]);
  });

  it('no file imports itself in a circle of values', () => {
    const graph = new Map(sources.map((s) => [`src/${s.path}`, s.imports.filter((i) => i.specifier.startsWith('.') && !i.typeOnly).map((i) => resolve(s.path, i.specifier))]));
    const circles: string[] = [];
    const state = new Map<string, 'open' | 'done'>();
    const visit = (path: string, trail: string[]): void => {
      if (state.get(path) === 'done') return;
      if (state.get(path) === 'open') {
        circles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
        return;
      }
      state.set(path, 'open');
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      state.set(path, 'done');
    };
    for (const path of graph.keys()) visit(path, []);
    expect(circles).toEqual([]);
  });
});

describe('the test itself', () => {
  it('sees every form of import and none in comments', () => {
    const text = [
      "import { a } from './a.ts';", "import type { B } from './b.ts';", "import './c.css';", "export { d } from './d.ts';", "export * from './e.ts';",
      "const f = await import('./f.ts');", "import g, {\n  h,\n} from './g.ts';", "new Worker(new URL('./w.ts', import.meta.url))",
      "// import './x.ts';", "/* import './y.ts'; */", "const url = 'https://a.b'; // import './z.ts'",
    ].join('\n');
    expect(importsOf(text).map((i) => i.specifier).sort()).toEqual(['./a.ts', './b.ts', './c.css', './d.ts', './e.ts', './f.ts', './g.ts', './w.ts']);
    expect(importsOf(text).filter((i) => i.typeOnly).map((i) => i.specifier)).toEqual(['./b.ts']);
  });

  it('tells a global from a property, a variable and a word in a text', () => {
    expect(['window.title = 1', 'x = document.body', 'alert(1)', 'if (process.env.A) b()'].map((code, i) => usesGlobal(withoutTexts(code), ['window', 'document', 'alert', 'process'][i]!))).toEqual([true, true, true, true]);
    for (const code of ['this.window.size', 'const window = 5; window.x', 'function f(window: number[]) { return window[0]; }', "say('window.title')", '// window.title', '{ window: 1 }']) {
      expect(usesGlobal(withoutTexts(code), 'window'), code).toBe(false);
    }
  });
});
