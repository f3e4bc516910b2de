/** Loads our exports with real PEFT, where a Python with peft is found: PYTHON, .venv/bin/python or python3. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sourcesFromFolder } from '../../src/cli/fsSource.ts';
import { builtinRecipe } from '../../src/config/builtinRecipe.ts';
import { loraScaling } from '../../src/config/recipe.ts';
import { buildAdapterFiles } from '../../src/export/adapterZip.ts';
import type { AdapterState } from '../../src/formats/peftAdapter.ts';
import { openSafetensors, readF32, readI32 } from '../../src/formats/safetensors.ts';
import { unzipFiles, zipFiles } from '../../src/formats/zip.ts';
import { openAdapterFolder } from '../../src/hub/adapterFolder.ts';

const path = (relative: string) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

function findPython(): string | null {
  const probe = 'import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in ("peft", "torch", "transformers")))';
  for (const python of [process.env['PYTHON'], path('../.venv/bin/python'), 'python3'].filter((p) => p !== undefined && p !== '')) {
    try {
      execFileSync(python!, ['-c', probe], { stdio: 'ignore' });
      return python!;
    } catch { /* the next one */ }
  }
  return null;
}

const python = findPython();
if (python === null) console.warn('\nSKIPPED: no Python with peft, torch and transformers was found, so no export was loaded with real PEFT.\nSet PYTHON to such a Python to run this check.\n');

interface Result {
  name: string;
  warnings: string[];
  maxAbs: number;
  relative: number;
  changed: number;
}
const GOLDEN = path('fixtures/goldens/llama_padded');
let folder: string;
let results: Map<string, Result>;

/** Writes the files of a download, through its zip, as a person would unpack them. */
function unpackExport(name: string, state: AdapterState): string {
  const files = buildAdapterFiles({ state, recipe: builtinRecipe(), metrics: [], prompt: { question: '', rendered: '', stopIds: [] }, shareLink: null });
  const target = join(folder, name);
  mkdirSync(target);
  for (const [file, bytes] of unzipFiles(zipFiles(files), 'export.zip', () => true)) writeFileSync(join(target, file), bytes);
  return target;
}

/** Values of a fixed sequence; PEFT must apply exactly these. */
function madeState(like: AdapterState, r: number, projections: string[]): AdapterState {
  let seed = 1;
  const next = () => (seed = (seed * 48271) % 2147483647) / 2147483647 - 0.5;
  const tensors: AdapterState['tensors'] = new Map();
  for (const [key, t] of like.tensors) {
    if (!projections.some((p) => key.includes(`.${p}.`))) continue;
    const shape: [number, number] = key.includes('lora_A') ? [r, t.shape[1]] : [t.shape[0], r];
    tensors.set(key, { shape, data: Float32Array.from({ length: shape[0] * shape[1] }, next) });
  }
  return { ...like, r, loraAlpha: 5, useRslora: true, targetModules: projections, tensors };
}

/** scaling * B A for each adapted weight, in f64. */
function deltas(state: AdapterState): Record<string, { shape: number[]; data: number[] }> {
  const scaling = loraScaling(state);
  return Object.fromEntries([...state.tensors].filter(([key]) => key.includes('lora_A')).map(([key, a]) => {
    const b = state.tensors.get(key.replace('lora_A', 'lora_B'))!;
    const [out, inner, r] = [b.shape[0], a.shape[1], state.r];
    const data = Array.from({ length: out * inner }, (_, i) => {
      let sum = 0;
      for (let k = 0; k < r; k++) sum += b.data[Math.floor(i / inner) * r + k]! * a.data[k * inner + (i % inner)]!;
      return scaling * sum;
    });
    return [key.replace('base_model.model.', '').replace('.lora_A', ''), { shape: [out, inner], data }];
  }));
}

/** [B][T][..] of a flat array. */
const nested = (data: ArrayLike<number>, [B, T]: number[], width?: number): unknown[] =>
  Array.from({ length: B! }, (_, b) => Array.from({ length: T! }, (_, t) =>
    width === undefined ? data[b * T! + t] : Array.from({ length: width }, (_, v) => data[(b * T! + t) * width + v])));

describe.skipIf(python === null)('an export loaded with real PEFT', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'etude-peft-'));
    const golden = await openSafetensors((await sourcesFromFolder(GOLDEN)).get('golden.safetensors')!);
    const tensor = (name: string) => golden.tensors.get(name)!;
    const shape = tensor('batch.main.input_ids').shape;
    const ids = nested(await readI32(tensor('batch.main.input_ids')), shape);
    const mask = nested(await readI32(tensor('batch.main.attention_mask')), shape);
    const logits = nested(await readF32(tensor('fwd.main.logits_adapter')), shape, tensor('fwd.main.logits_adapter').shape[2]);
    const trained = await openAdapterFolder('golden', await sourcesFromFolder(join(GOLDEN, 'adapter')));
    const made = madeState(trained, 3, ['v_proj', 'o_proj']);
    const cases = [
      { name: 'golden', base: GOLDEN, adapter: unpackExport('golden', trained), ids, mask, reference: { logits } },
      { name: 'made', base: GOLDEN, adapter: unpackExport('made', made), ids, mask, reference: { deltas: deltas(made) } },
    ];
    writeFileSync(join(folder, 'cases.json'), JSON.stringify(cases));
    const output = execFileSync(python!, [path('python/load_export.py'), join(folder, 'cases.json')], { encoding: 'utf8', env: { ...process.env, HF_HUB_OFFLINE: '1', OMP_NUM_THREADS: '1' } });
    results = new Map((JSON.parse(output.trim().split('\n').at(-1)!) as Result[]).map((result) => [result.name, result]));
  }, 240_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    ['golden', 'the adapter PEFT trained, read and written by us, gives the logits PEFT computed with its own file'],
    ['made', 'an adapter of ours with rank 3, rank-stabilised scaling and two projections gives the logits of weights changed by hand'],
  ])('%s: %s', (name) => {
    const result = results.get(name)!;
    console.info(`real PEFT, ${name}: logits differ by ${result.relative.toExponential(1)} relative, ${result.maxAbs.toExponential(1)} at most`);
    expect(result.warnings).toEqual([]);
    expect(result.changed).toBeGreaterThan(1e-3);
    expect(result.relative).toBeLessThan(2e-6);
    expect(result.maxAbs).toBeLessThan(2e-5);
  });
});
