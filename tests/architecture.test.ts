/** Who may know whom: reads every import under src/ and holds it against the rooms' rules. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const MAX_LINES = 450;

/** A room and the rooms it may import. Itself is always allowed; 'shaders' are the WGSL files. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  config: [],
  formats: ['config'],
  data: ['config', 'formats'],
  hub: ['config', 'formats'],
  engine: ['config', 'shaders'],
  model: ['config', 'formats', 'engine'],
  train: ['config', 'engine', 'model', 'data/types.ts'],
  export: ['config', 'formats', 'model/config.ts'],
  worker: ['config', 'formats', 'data', 'hub', 'engine', 'model', 'train', 'export'],
  stores: ['config', 'worker/client.ts', 'worker/protocol.ts'],
  ui: ['config', 'stores'],
  cli: ['config', 'formats', 'data', 'hub', 'engine', 'model', 'train', 'export', 'worker'],
};
/** Run in a worker and in Node alike: no page, no React, no node. */
const CORE = ['config', 'formats', 'data', 'hub', 'engine', 'model', 'train', 'export'];
/** The one file that is not in a room. */
const ENTRY = 'main.tsx';

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

function breach(source: Source, specifier: string): string | null {
  const target = resolve(source.path, specifier);
  const [top, ...rest] = target.split('/');
  const within = top === 'src' ? rest.join('/') : target;
  const room = within.split('/')[0]!;
  if (room === source.room) return null;
  const allowed = MAY_IMPORT[source.room]!.some((rule) => rule === room || rule === within);
  return allowed ? null : `${source.path} imports ${target}`;
}

describe('the house', () => {
  it('has only the rooms of the plan', () => {
    const rooms = [...new Set(sources.filter((s) => s.path !== ENTRY).map((s) => s.room))];
    expect(rooms.filter((room) => !(room in MAY_IMPORT))).toEqual([]);
    expect(sources.length).toBeGreaterThan(40);
  });

  it('no room imports one it may not know', () => {
    const breaches = sources.filter((s) => s.path !== ENTRY)
      .flatMap((source) => source.imports.filter((i) => i.specifier.startsWith('.')).map((i) => breach(source, i.specifier)))
      .filter((found) => found !== null);
    expect(breaches).toEqual([]);
  });

  it('relative imports carry their extension', () => {
    const without = sources.flatMap((s) => s.imports.filter((i) => i.specifier.startsWith('.') && !/\.\w+(\?\w+)?$/.test(i.specifier)).map((i) => `${s.path}: ${i.specifier}`));
    expect(without).toEqual([]);
  });

  it('the core knows neither React nor Node', () => {
    const foreign = sources.filter((s) => CORE.includes(s.room) || s.room === 'worker')
      .flatMap((s) => s.imports.filter((i) => /^(node:|react|@mantine\/|@tabler\/|zustand|recharts)/.test(i.specifier)).map((i) => `${s.path} imports ${i.specifier}`));
    expect(foreign).toEqual([]);
  });

  it('only the command line imports Node', () => {
    const node = sources.filter((s) => s.room !== 'cli').flatMap((s) => s.imports.filter((i) => i.specifier.startsWith('node:')).map((i) => `${s.path} imports ${i.specifier}`));
    expect(node).toEqual([]);
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

  it('finds a breach', () => {
    const source = (path: string): Source => ({ path, room: path.split('/')[0]!, text: '', imports: [] });
    expect(breach(source('engine/device.ts'), '../model/config.ts')).toBe('engine/device.ts imports src/model/config.ts');
    expect(breach(source('train/trainer.ts'), '../data/store.ts')).toBe('train/trainer.ts imports src/data/store.ts');
    expect(breach(source('ui/try/Chat.tsx'), '../../worker/client.ts')).toBe('ui/try/Chat.tsx imports src/worker/client.ts');
    expect(breach(source('train/trainer.ts'), '../data/types.ts')).toBeNull();
    expect(breach(source('engine/kernels/matmul.ts'), '../../../shaders/matmul.wgsl?raw')).toBeNull();
    expect(breach(source('model/lora.ts'), '../../shaders/matmul.wgsl?raw')).toBe('model/lora.ts imports shaders/matmul.wgsl');
  });
});
