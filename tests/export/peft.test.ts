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

const GOLDEN = path('fixtures/goldens/llama_padded');
let folder: string;
let trained: AdapterState;
/** The real tokens of one example, and the logits PEFT computed for them with its own file. */
let example: { input_ids: number[]; logits: number[][] };

function run(script: string, args: string[]): string {
  const env = { ...process.env, HF_HUB_OFFLINE: '1', OMP_NUM_THREADS: '1' };
  return execFileSync(python!, [path(`python/${script}`), ...args], { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] }).trim().split('\n').at(-1)!;
}

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

async function readExample(): Promise<typeof example> {
  const golden = await openSafetensors((await sourcesFromFolder(GOLDEN)).get('golden.safetensors')!);
  const tensor = (name: string) => golden.tensors.get(name)!;
  const [, T] = tensor('batch.main.input_ids').shape as [number, number];
  const V = tensor('fwd.main.logits_adapter').shape[2]!;
  const mask = await readI32(tensor('batch.main.attention_mask'));
  const ids = await readI32(tensor('batch.main.input_ids'));
  const logits = await readF32(tensor('fwd.main.logits_adapter'));
  const real = Array.from({ length: T }, (_, t) => t).filter((t) => mask[t] === 1);
  return { input_ids: real.map((t) => ids[t]!), logits: real.map((t) => Array.from(logits.subarray(t * V, (t + 1) * V))) };
}

describe.skipIf(python === null)('an export loaded with real PEFT', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'etude-peft-'));
    trained = await openAdapterFolder('golden', await sourcesFromFolder(join(GOLDEN, 'adapter')));
    example = await readExample();
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('of an adapter that PEFT trained gives the logits PEFT computed with its own file', () => {
    writeFileSync(join(folder, 'logits.json'), JSON.stringify(example));
    const said = run('check_adapter.py', ['--model', GOLDEN, '--adapter', unpackExport('golden', trained), '--logits', join(folder, 'logits.json'), '--max-relative', '2e-6', '--max-absolute', '2e-5']);
    console.info(`real PEFT: ${said}`);
    expect(said).toMatch(/^16 tensors; worst absolute difference/);
  }, 240_000);

  it('of an adapter of ours, rank 3, rank-stabilised, two projections, gives the logits of weights changed by hand', () => {
    const made = madeState(trained, 3, ['v_proj', 'o_proj']);
    writeFileSync(join(folder, 'deltas.json'), JSON.stringify({ input_ids: example.input_ids, deltas: deltas(made) }));
    const result = JSON.parse(run('compare_with_merged.py', ['--model', GOLDEN, '--adapter', unpackExport('made', made), '--deltas', join(folder, 'deltas.json')]));
    console.info(`real PEFT: relative ${result.relative.toExponential(1)}, absolute ${result.absolute.toExponential(1)} from weights changed by hand`);
    expect(result.warnings).toEqual([]);
    expect(result.moved).toBeGreaterThan(1e-2);
    expect(result.relative).toBeLessThan(2e-6);
    expect(result.absolute).toBeLessThan(2e-5);
  }, 240_000);
});
