/** How the golden cases of tests/fixtures/goldens are run in tests. */
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runCase, type CaseResult } from '../../src/worker/conformance/runCase.ts';
import { sourcesFromFolder } from '../../src/cli/fsSource.ts';
import type { Engine } from '../../src/engine/device.ts';
import type { ByteSource } from '../../src/formats/byteSource.ts';

const root = resolve(import.meta.dirname, '../fixtures/goldens');
export const CASES = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();
/** 60 steps of up to 250 tokens: half of the time of all cases on a software adapter. */
export const LONG_CASES = ['llama_long'];

export interface CaseFiles {
  files: Map<string, ByteSource>;
  adapterFiles: Map<string, ByteSource>;
}

export const caseFiles = async (name: string): Promise<CaseFiles> => ({
  files: await sourcesFromFolder(join(root, name)),
  adapterFiles: await sourcesFromFolder(join(root, name, 'adapter')),
});

export const run = (engine: Engine, name: string, { files, adapterFiles }: CaseFiles): Promise<CaseResult> => runCase(engine, name, files, adapterFiles);

/** Status, worst figures and reasons, as a failed test shows them. */
export function inWords(r: CaseResult): string {
  const figures = Object.entries(r.figures).map(([name, { worst, limit, at }]) => `  ${name.padEnd(16)} ${worst.toExponential(2)} of at most ${limit} at ${at}`);
  const exact = Object.entries(r.exact).map(([name, { ok, of }]) => `  ${name.padEnd(16)} ${ok} of ${of}`);
  return [`${r.status} ${r.name} in ${r.seconds.toFixed(1)} s`, ...figures, ...exact, ...r.reasons.slice(0, 20).map((reason) => `  ${reason}`)].join('\n');
}
