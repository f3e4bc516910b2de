import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { main } from '../../src/cli/dataReport.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/datasets/${name}`, import.meta.url));
let printed: string[];
let folder: string;
beforeEach(async () => {
  printed = [];
  vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text));
  folder = await mkdtemp(join(tmpdir(), 'etude-report-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

describe('npm run data:report', () => {
  it('prints shape, counts, advice and findings with their rows', async () => {
    expect(await main([fixture('identity.json'), '--model', 'builtin'])).toBe(0);
    const text = printed.join('\n');
    expect(text).toContain('All of the first 4 rows have "instruction", "input" and "output": Alpaca.');
    expect(text).toContain('Under 1,000 examples: Focus entirely on response quality');
    expect(text).toMatch(/4 rows with a placeholder left unfilled.*"{{name}}", "{{author}}"/);
    expect(text).toMatch(/Quality {3}\d+ of 100/);
  });

  it('prints the same as JSON, and writes the record of changes', async () => {
    const file = join(folder, 'rows.jsonl');
    await writeFile(file, '{"instruction": "q", "output": "a"}\nnope\n');
    const changes = join(folder, 'changes.json');
    expect(await main([file, '--model', 'builtin', '--json', '--changes', changes, '--max-length', '256'])).toBe(0);
    const made = JSON.parse(printed.join('\n')) as { dataset: { rows: number }; report: { usableRows: number; findings: { kind: string }[] } };
    expect(made).toMatchObject({ dataset: { rows: 1, skipped: 1 }, maxLength: 256, report: { usableRows: 1 } });
    expect(made.report.findings.map(({ kind }) => kind)).toContain('skipped-line');
    expect(JSON.parse(await readFile(changes, 'utf8'))).toMatchObject({ changes: [{ line: 2, row: null, action: 'dropped', by: 'import' }] });
  });

  it.each([
    [[], /0 files/], [[fixture('identity.json')], /--model is missing/], [['nothing.json', '--model', 'builtin'], /there is nothing at nothing/],
    [[fixture('identity.json'), '--model', 'builtin', '--template', 'x'], /--template is 'x'/], [[fixture('identity.json'), '--model', 'builtin', '--max-length', '0'], /--max-length is '0'/],
    [['--nonsense'], /nonsense/],
  ] as [string[], RegExp][])('refuses %j by name', async (words, says) => {
    await expect(main(words)).rejects.toThrow(says);
  });
});
