/**
 * The precision of every finding about contents, through the whole report: among 210 real rows, each of which was read by hand where it
 * is named, and with faults planted beside them. tests/data/detectors.test.ts looks at the detectors one by one.
 */
import 'fake-indexeddb/auto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { openDatabase } from '../../src/data/db.ts';
import { importDataset } from '../../src/data/importers/importDataset.ts';
import { buildReport } from '../../src/data/report.ts';
import { DatasetStore } from '../../src/data/store.ts';
import { RowEncoder } from '../../src/data/template.ts';
import type { FindingKind } from '../../src/data/types.ts';
import { byteLevel } from './helpers.ts';

interface Row { prompt: string; answer: string }
const read = (file: string): Record<string, string>[] => JSON.parse(readFileSync(fileURLToPath(new URL(`../fixtures/datasets/${file}`, import.meta.url)), 'utf8')) as Record<string, string>[];
const REAL: Row[] = ['labelled.json', 'labelledLater.json'].flatMap(read).map(({ prompt, answer }) => ({ prompt: prompt!, answer: answer! }));
/** Each refuses, or speaks of itself as an AI model or assistant. */
const REFUSALS = [43, 67, 80, 82, 95, 107, 162, 186];
const KINDS = [
  'duplicate', 'near-duplicate', 'shared-prompt', 'empty-answer', 'short-answer', 'long-answer', 'echo', 'refusal', 'unfilled-placeholder', 'mojibake', 'language-mix', 'pii', 'edge-space',
] as const satisfies FindingKind[];
type Kind = (typeof KINDS)[number];

const tokenizer = byteLevel();
let counter = 0;
async function found(rows: Row[]): Promise<Record<Kind, number[]>> {
  const store = new DatasetStore(await openDatabase(`precision-${counter++}`));
  const dataset = await importDataset({ name: 'rows.jsonl', blob: new Blob([rows.map((row) => JSON.stringify(row)).join('\n')]), kind: 'file' }, store);
  const { rowsOf } = await buildReport({
    rows: store.rows(dataset.id), read: (indices) => store.rowsAt(dataset.id, indices), dataset, encoder: new RowEncoder(tokenizer, 'chatml', 4096), tokenizer,
  });
  return Object.fromEntries(KINDS.map((kind) => [kind, [...rowsOf(kind)]])) as Record<Kind, number[]>;
}

describe('Among 210 real rows', () => {
  it('every row that is named was read by hand: every fault is one, and 5 very short answers are whole', async () => {
    const { 'edge-space': edges, ...rest } = await found(REAL);
    expect(rest).toEqual({
      // 136 asks and answers word for word what 134 does.
      duplicate: [136], 'near-duplicate': [], 'shared-prompt': [], 'empty-answer': [], 'long-answer': [], echo: [], 'unfilled-placeholder': [],
      // "fog.", "3", "0.5", "77.0°F" and a yes: short indeed, though none of them broke off.
      'short-answer': [29, 35, 37, 81, 111],
      refusal: REFUSALS,
      // "fiancÃ© Cal Hockley", as published.
      mojibake: [115],
      // Translated into Spanish.
      'language-mix': [129],
      pii: expect.any(Array),
    });
    // An address or number with the shape of a real one.
    for (const row of rest.pii) expect(REAL[row]!.prompt + REAL[row]!.answer).toMatch(/[\w.]+@\w+\.\w+|\d{3}[-. ]\d{4}/);
    for (const row of edges) expect(REAL[row]!.answer).not.toBe(REAL[row]!.answer.trim());
    expect(edges).toEqual([...REAL.keys()].filter((row) => REAL[row]!.answer.trim() !== REAL[row]!.answer));
  });
});

describe('Faults planted beside them', () => {
  // Short enough to be quick, without the faults they were published with.
  const clean = REAL.filter(({ prompt, answer }, i) => !REFUSALS.includes(i) && answer.length > 150 && answer.length < 700 && answer.trim() === answer && prompt.length < 300);
  const sample = (from: number): Row[] => Array.from({ length: 6 }, (_, i) => clean[(from + i) % clean.length]!);
  const change = (from: number, to: (row: Row, i: number) => Partial<Row>): Row[] => sample(from).map((row, i) => ({ ...row, prompt: `${row.prompt} (${'abcdefghi'[i]}${from})`, ...to(row, i) }));
  const windows = new TextDecoder('windows-1252');
  const german = 'Das Haus stand am Ende der Straße und niemand hatte seit Jahren in dem Haus gewohnt, aber der Garten war noch schön';
  const planted: Record<Kind, Row[]> = {
    duplicate: sample(0),
    'near-duplicate': sample(0).map(({ prompt, answer }) => ({ prompt: prompt.toUpperCase(), answer: answer.replace(/\.$/, '!').replace(' the ', ' a ') })),
    'shared-prompt': sample(6).map(({ prompt }, i) => ({ prompt: ` ${prompt.toUpperCase()}`, answer: `Something else altogether is said here, the ${['first', 'second', 'third', 'fourth', 'fifth', 'sixth'][i]} of its kind, long enough not to be named for its length, and nothing of what was said before.` })),
    'empty-answer': change(12, (_, i) => ({ answer: ['', ' ', '\n', '\t', '  \n', ''][i]! })),
    'short-answer': change(18, (_, i) => ({ answer: ['ok', 'No.', 'Yes', '7', '-', 'Sure'][i]! })),
    'long-answer': change(24, (row) => ({ answer: Array.from({ length: 40 }, (_, i) => `${row.answer} Part ${i}.`).join(' ') })),
    echo: change(30, (row, i) => ({ prompt: `Tell me this at length: ${row.prompt} ${i}`, answer: `Tell me this at length: ${row.prompt} ${i}` })),
    refusal: change(36, (row, i) => ({ answer: `${["I'm sorry, but I can't assist with that.", 'As an AI language model, I have no feelings.', 'I am unable to create images.', "I'm just an AI assistant.", 'My knowledge cutoff is 2021.', 'Sorry, I cannot provide that information.'][i]} ${row.answer}` })),
    'unfilled-placeholder': change(42, (row, i) => ({ answer: `I am ${['{{name}}', '{{ author }}', '{{user.name}}', '{{NAME}}', '{{assistant-name}}', '{{x}}'][i]}. ${row.answer}` })),
    mojibake: change(48, (row, i) => ({ answer: `${windows.decode(new TextEncoder().encode(['Déjà vu – l’été', 'Größe und Maß', 'naïve café', '“quoted” — dash', 'señor', '日本語の文章'][i]))} ${row.answer}` })),
    'language-mix': change(54, (_, i) => ({ answer: `${german}, und ${['niemand', 'keiner', 'jeder', 'einer', 'mancher', 'wer'][i]} wusste, warum es so war.` })),
    pii: change(60, (row, i) => ({ answer: `${row.answer} Write to ${['jane.roe@gmail.com', '+44 20 7946 0958', '(212) 736-5000', 'sk-abcdefghijklmnopqrstuvwx', '4111 1111 1111 1111', 'AKIAIOSFODNN7EXAMPLE'][i]}` })),
    'edge-space': change(66, (row, i) => ({ answer: i % 2 === 0 ? ` ${row.answer}` : `${row.answer}\n` })),
  };

  it('are all found, and nothing else is named', async () => {
    const rows = [...clean];
    const place = Object.fromEntries(KINDS.map((kind) => {
      rows.push(...planted[kind]);
      return [kind, [rows.length - planted[kind].length, rows.length]];
    })) as Record<Kind, [number, number]>;
    const all = await found(rows);
    const missed: string[] = [];
    const wrong: string[] = [];
    for (const kind of KINDS) {
      const [from, to] = place[kind];
      const right = all[kind].filter((row) => row >= from && row < to).length;
      const others = all[kind].filter((row) => row < from || row >= to);
      console.log(`${kind}: ${right} of ${to - from} planted rows found, ${others.length} others named`);
      if (right < to - from) missed.push(`${kind}: ${rows.slice(from, to).filter((_, i) => !all[kind].includes(from + i)).map((row) => JSON.stringify(row)).join(' ')}`);
      wrong.push(...others.map((row) => `${kind}: ${JSON.stringify(rows[row])}`));
    }
    expect(clean.length).toBeGreaterThan(50);
    expect(missed).toEqual([]);
    expect(wrong).toEqual([]);
  });
});
