/** The bench's archive, made, unpacked and started as on a machine that has nothing. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { findLavapipeIcd } from '../../src/cli/nodeGpu.ts';

const root = resolve(import.meta.dirname, '../..');

test.runIf(process.platform === 'linux' && process.arch === 'x64')('the bench packs into under 60 MB and measures a step with no npm, no project and no environment', () => {
  const folder = mkdtempSync(join(tmpdir(), 'etude-pack-test-'));
  try {
    const archive = join(folder, 'bench.tar.gz');
    execFileSync('node', ['scripts/run-ts.mjs', 'scripts/packBench.ts', '--out', archive], { cwd: root, stdio: 'pipe' });
    expect(statSync(archive).size).toBeLessThan(60e6);
    execFileSync('tar', ['-xzf', archive, '-C', folder]);
    const run = join(folder, 'etude-bench/run');
    const device = findLavapipeIcd() === null ? 'swiftshader' : 'lavapipe';
    const out = execFileSync(run, ['--all', 'L=1,d=32,H=2,ff=64,V=64,B=1,T=16', '--json', 'figures.json', '--device', device, '--steps', '2', '--generate', '2'], {
      cwd: folder, env: { PATH: '/usr/bin:/bin', HOME: folder }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'],
    });
    console.log(out);
    expect(out).toMatch(/^step +[\d.]+ ms/m);
    expect(out).toMatch(/MFU [\d.]+/);
    expect(out).toMatch(/^variants +measured in /m);
    expect(out).toMatch(/^recompute +layers/m);
    // Of PyTorch there is a figure where this machine has it, and else a reason.
    expect(out).toMatch(/^pytorch +(torch \d|not measured: )/m);
    const { results } = JSON.parse(readFileSync(join(folder, 'figures.json'), 'utf8')) as { results: { step: { ms: { median: number } }; tuning: { products: unknown[] } }[] };
    expect(results).toHaveLength(1);
    expect(results[0]!.step.ms.median).toBeGreaterThan(0);
    expect(results[0]!.tuning.products.length).toBeGreaterThan(5);
    expect(out).toMatch(/^generation +[\d.]+ tokens\/s/m);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 600_000);
