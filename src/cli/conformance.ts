/**
 * `npm run conformance -- <folder>...`: walks folders of golden cases, a line a case. Exit 1 on any FAIL or UNSUPPORTED.
 */
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openEngine } from '../engine/device.ts';
import { variantsInForce } from '../engine/variants.ts';
import { runCasesInBrowser } from './browserRun.ts';
import { runMaskingCase } from './conformanceMasking.ts';
import { runCase, type CaseResult } from '../worker/conformance/runCase.ts';
import { sourcesFromFolder } from './fsSource.ts';
import { NODE_GPU_KINDS, openNodeGpu, type NodeGpuKind } from './nodeGpu.ts';

const USAGE = `npm run conformance -- FOLDER... [--device swiftshader|lavapipe|gpu|auto] [--runtime node|browser] [--variants NAME=VALUE,...] [--experimental] [--json FILE]
--experimental shows features that browsers hide behind a flag, as --variants matmulNT.wide=matrix,matmulNN.wide=matrix needs.
A folder is a case (golden.json in it), masking examples (examples.json in it), or a folder of such folders.`;

type Found = { kind: 'model' | 'masking'; path: string };

async function find(path: string): Promise<Found[]> {
  if (existsSync(join(path, 'golden.json'))) return [{ kind: 'model', path }];
  if (existsSync(join(path, 'examples.json'))) return [{ kind: 'masking', path }];
  const inside = (await readdir(path, { withFileTypes: true })).filter((e) => e.isDirectory() && e.name !== 'adapter').map((e) => e.name).sort();
  return (await Promise.all(inside.map((name) => find(join(path, name))))).flat();
}

const number = (value: number): string => value.toExponential(1);

function line(r: CaseResult): string {
  const f = r.figures;
  const show = (label: string, key: keyof typeof f): string => (f[key] ? `${label} ${number(f[key].worst)}` : `${label} –`);
  const exact = Object.entries(r.exact).map(([name, { ok, of }]) => `${name} ${ok}/${of}`).join('  ');
  return [
    `${r.status.padEnd(11)} ${r.name.padEnd(22)}`,
    show('logits', 'logitsRel'), show('(abs', 'logitsAbs') + ')', show('hidden', 'hiddenRel'), show('loss', 'loss'), show('grad', 'gradRel'), show('norm', 'gradNormRel'),
    show('train loss', 'trainLoss'), show('train norm', 'trainGradNormRel'), show('lr', 'lrRel'), show('update', 'updateRel'), exact,
    'merged NOT CHECKED', 'gguf NOT CHECKED', `${r.seconds.toFixed(1)} s`,
  ].join('  ');
}

export async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { device: { type: 'string', default: 'auto' }, runtime: { type: 'string', default: 'node' }, json: { type: 'string' }, variants: { type: 'string' }, experimental: { type: 'boolean', default: false }, help: { type: 'boolean' } },
  });
  if (values.help || positionals.length === 0 || !['node', 'browser'].includes(values.runtime) || !NODE_GPU_KINDS.includes(values.device as NodeGpuKind)) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const found = (await Promise.all(positionals.map((p) => find(resolve(p))))).flat();
  const results: (CaseResult | { name: string; status: 'PASS' | 'FAIL'; masking: unknown })[] = [];
  const wanted = found.filter((c) => c.kind === 'model').map((c) => c.path);
  const device = values.device as NodeGpuKind;
  let on = '';
  let variants: Record<string, string> = {};
  const report = (result: CaseResult): void => {
    results.push(result);
    console.log(line(result));
    for (const [what, value] of Object.entries(result.stated)) console.log(`            ${what}: ${number(value)} (stated, not judged)`);
    for (const reason of result.reasons.slice(0, 12)) console.log(`            ${reason}`);
    if (result.reasons.length > 12) console.log(`            and ${result.reasons.length - 12} more`);
  };
  if (wanted.length > 0 && values.runtime === 'browser') {
    await runCasesInBrowser(wanted, device, (result, description) => {
      if (on === '') console.log(`on ${description} in Chromium`);
      on = description;
      report(result);
    });
  } else if (wanted.length > 0) {
    const engine = await openEngine(await openNodeGpu(device, { experimental: values.experimental }));
    for (const pair of values.variants?.split(',') ?? []) {
      const [name, value] = pair.split('=');
      engine.variants[name!] = value!;
    }
    on = engine.info.description;
    console.log(`on ${on}`);
    for (const path of wanted) {
      const adapter = join(path, 'adapter');
      report(await runCase(engine, basename(path), await sourcesFromFolder(path), existsSync(adapter) ? await sourcesFromFolder(adapter) : new Map()));
    }
    variants = variantsInForce(engine);
  }
  for (const { path } of found.filter((c) => c.kind === 'masking')) {
    const masks = await runMaskingCase(path);
    const status = masks.fail === 0 && masks.pass > 0 ? 'PASS' : 'FAIL';
    results.push({ name: basename(path), status, masking: masks });
    console.log(`${status.padEnd(11)} ${basename(path).padEnd(22)}  masks ${masks.pass}/${masks.pass + masks.fail} equal, ${masks.reported} with boundary tokens reported, not judged`);
    for (const text of masks.lines) console.log(`            ${text}`);
  }
  if (values.json) await writeFile(values.json, JSON.stringify({ device: on, variants, results }, null, 1));
  const failed = results.filter((r) => r.status !== 'PASS').length;
  console.log(`${results.length - failed} passed, ${failed} failed`);
  return results.length > 0 && failed === 0 ? 0 : 1;
}
