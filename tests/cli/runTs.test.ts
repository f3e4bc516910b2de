import { spawnSync } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { findLavapipeIcd, findSwiftShaderIcd } from '../../src/cli/nodeGpu.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const run = (entry: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/run-ts.mjs', `tests/cli/entries/${entry}`, ...args], { cwd: root, encoding: 'utf8', timeout: 60_000 });
  return { status, stdout, stderr };
};

describe('a TypeScript entry run in Node', () => {
  test('prints an error meant for a person in words, and exits with 1', () => {
    const { status, stderr } = run('fails.ts', 'words');
    expect(status).toBe(1);
    expect(stderr).toBe('It broke.\nExpected: It whole.\nLikely cause: A stone.\nNext: Mend it.\n');
  });

  test('prints any other error with the place it came from', () => {
    const { status, stderr } = run('fails.ts', 'otherwise');
    expect(status).toBe(1);
    expect(stderr).toContain('TypeError: not for a person');
    expect(stderr).toContain('fails.ts:5');
  });

  const drivers = [['swiftshader', findSwiftShaderIcd(), 'SwiftShader'], ['lavapipe', findLavapipeIcd(), 'llvmpipe']] as const;
  test.each(drivers.filter(([, icd]) => icd !== null))('ends at once with its code although %s is still open', (kind, _icd, name) => {
    const { status, stdout } = run('openGpu.ts', kind, '7');
    expect(status).toBe(7);
    const printed = JSON.parse(stdout) as { description: string; raw: number };
    expect(printed.description).toContain(name);
    expect(printed.raw).toBeGreaterThan(1000);
  });

  test('says how to get a driver that is missing', () => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/run-ts.mjs', 'tests/cli/entries/openGpu.ts', 'swiftshader', '0'], {
      cwd: root, encoding: 'utf8', env: { ...process.env, CHROME_PATH: '/nowhere/chrome' },
    });
    expect(status).toBe(1);
    expect(stderr).toContain("CHROME_PATH is '/nowhere/chrome', and no file is there.");
  });
});
