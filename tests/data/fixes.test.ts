import 'fake-indexeddb/auto';
import { describe, expect, it } from 'vitest';

import { openDatabase } from '../../src/data/db.ts';
import { changesOfFixes, FixedRows } from '../../src/data/fixes.ts';
import { importDataset } from '../../src/data/importers/importDataset.ts';
import { overlap } from '../../src/data/overlap.ts';
import { buildReport } from '../../src/data/report.ts';
import { DatasetStore } from '../../src/data/store.ts';
import { RowEncoder } from '../../src/data/template.ts';
import type { AppliedFix, DatasetSummary, FindingKind } from '../../src/data/types.ts';
import { byteLevel } from './helpers.ts';

let counter = 0;
const tokenizer = byteLevel();
async function stored(rows: unknown[]) {
  const store = new DatasetStore(await openDatabase(`fixes-${counter++}`));
  const dataset = await importDataset({ name: 'rows.jsonl', blob: new Blob([rows.map((row) => JSON.stringify(row)).join('\n')]), kind: 'file' }, store);
  return { store, dataset };
}
async function report(store: DatasetStore, dataset: DatasetSummary) {
  const fixed = new FixedRows(store, dataset.id, await store.fixes(dataset.id));
  return buildReport({ rows: fixed.rows(), read: (rows) => fixed.rowsAt(dataset.id, rows), leftOut: fixed.leftOut, dataset, encoder: new RowEncoder(tokenizer, 'chatml', 256), tokenizer });
}
const fix = (kind: FindingKind, action: AppliedFix['action'], rows: Int32Array): AppliedFix => ({ id: kind, kind, action, appliedAt: 1, rows, lines: rows.map((row) => row + 1), title: `fixed ${kind}` });
const row = (instruction: string, output: string) => ({ instruction, output });
const TEXT = 'Name three rivers of the north and say in one sentence each where they begin, where they end and what grows at their banks.';
const ROWS = [row('a', 'one'), row('a', 'one'), row('b', '  two\n'), row(TEXT, `${TEXT.slice(0, 60)} and so on`), row(`${TEXT}!`, `${TEXT.slice(0, 60)} and so on.`), row('c', '')];

describe('A fix', () => {
  it('leaves its rows out of the report and the training, and undoing it brings them back', async () => {
    const { store, dataset } = await stored(ROWS);
    const before = await report(store, dataset);
    const kinds = before.report.findings.map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(['duplicate', 'near-duplicate', 'edge-space', 'empty-answer']));
    expect(before.rowsOf('near-duplicate')).toEqual(Int32Array.of(4));
    // A prompt that is nearly the same stays on one side of the split.
    expect(before.index.promptHashes[4]).toBe(before.index.promptHashes[3]);
    await store.setFixes(dataset.id, [fix('duplicate', 'drop', before.rowsOf('duplicate')), fix('near-duplicate', 'drop', before.rowsOf('near-duplicate')), fix('edge-space', 'trim', before.rowsOf('edge-space')), fix('empty-answer', 'drop', before.rowsOf('empty-answer'))]);
    const after = await report(store, dataset);
    expect(after.report).toMatchObject({ rows: 6, leftOutRows: 3, usableRows: 3, droppedRows: 0, findings: [] });
    expect([...after.index.usable]).toEqual([0, 2, 3]);
    const [trimmed] = await new FixedRows(store, dataset.id, await store.fixes(dataset.id)).rowsAt(dataset.id, [2]);
    expect(trimmed!.value).toEqual(row('b', 'two'));
    await store.setFixes(dataset.id, []);
    expect((await report(store, dataset)).report).toEqual(before.report);
  });

  it('is named row by row in the record of changes, a row that is gone only once', () => {
    expect(changesOfFixes([fix('duplicate', 'drop', Int32Array.of(1, 3)), fix('empty-answer', 'drop', Int32Array.of(3)), fix('edge-space', 'trim', Int32Array.of(2, 3))])).toEqual([
      { line: 2, row: 1, action: 'dropped', by: 'fix', reason: 'fixed duplicate' }, { line: 4, row: 3, action: 'dropped', by: 'fix', reason: 'fixed duplicate' },
      { line: 3, row: 2, action: 'changed', by: 'fix', reason: 'fixed edge-space' },
    ]);
  });
});

describe('The overlap of two datasets', () => {
  it('is every row whose prompt the other has, whatever its case and spacing', async () => {
    const one = await stored([row('What is  this?', 'x'), row('Something else', 'y'), row('what is this?', 'z')]);
    const other = await stored([row('No', 'a'), row('What is this?', 'b')]);
    const side = ({ store, dataset }: typeof one) => ({ rows: store.rows(dataset.id), count: dataset.rows, mapping: dataset.mapping });
    expect(await overlap(side(one), side(other))).toMatchObject({ rows: Int32Array.of(0, 2), otherRows: Int32Array.of(1, 1) });
  });
});
