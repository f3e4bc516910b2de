/**
 * Owns what is advised of a set as a whole: its size band and what to work on there, the mix of tasks, and a quality score
 * whose parts are in view. The bands and their advice are the ones of the instruction-tuning guide Etude follows.
 */
import type { TaskType } from './taskTypes.ts';
import type { DataAdvice, DataReport, FindingKind } from './types.ts';

const BANDS: { below: number; band: string; advice: string }[] = [
  { below: 1000, band: 'Under 1,000 examples', advice: 'Focus entirely on response quality: every example must be excellent.' },
  { below: 10_000, band: '1,000 to 10,000', advice: 'Balance quality and coverage of different instruction types.' },
  { below: 100_000, band: '10,000 to 100,000', advice: 'Start deduplication and balance the task distribution.' },
  { below: Number.POSITIVE_INFINITY, band: '100,000 and more', advice: 'Quality filtering and deduplication are critical.' },
];

/** Findings that make a row a bad example, whatever it is for. */
const UNCLEAN: FindingKind[] = ['empty-answer', 'unfilled-placeholder', 'mojibake', 'echo', 'refusal', 'broken-alternation'];
/** A task with a larger share than this drowns the others. */
const DROWNING = 0.6;

export interface AdviceFacts {
  report: Pick<DataReport, 'rows' | 'leftOutRows' | 'usableRows' | 'cutRows'>;
  /** All rows of a finding. */
  rowsOf: (kind: FindingKind) => Int32Array;
  tasks: ReadonlyMap<TaskType, number>;
}

export function adviseOn({ report, rowsOf, tasks }: AdviceFacts): DataAdvice {
  const { band, advice } = BANDS.find(({ below }) => report.usableRows < below)!;
  const rows = Math.max(1, report.rows - report.leftOutRows);
  const mix = [...tasks].map(([type, count]) => ({ type, rows: count })).sort((a, b) => b.rows - a.rows);
  const told = mix.reduce((sum, task) => sum + task.rows, 0);
  const copies = rowsOf('duplicate').length + rowsOf('near-duplicate').length;
  const unclean = new Set(UNCLEAN.flatMap((kind) => [...rowsOf(kind)])).size;
  const [first] = mix;
  const parts: DataAdvice['quality']['parts'] = [
    { name: 'Usable', weight: 30, value: report.usableRows / rows, words: `${n(report.usableRows)} of ${rowCount(rows)} can be trained` },
    { name: 'Told once', weight: 25, value: 1 - Math.min(1, copies / rows), words: `${rowCount(copies)} ${copies === 1 ? 'repeats' : 'repeat'} another, exactly or nearly` },
    { name: 'Clean', weight: 25, value: 1 - unclean / rows, words: `${rowCount(unclean)} ${unclean === 1 ? 'is' : 'are'} empty, unfilled, garbled, echoing, refusing or out of turn` },
    { name: 'Whole', weight: 20, value: 1 - Math.min(1, report.cutRows / rows), words: `${rowCount(report.cutRows)} ${report.cutRows === 1 ? 'is' : 'are'} cut by the maximum length` },
  ];
  const drowned = first && told >= 100 && mix.length > 1 && first.rows > DROWNING * told
    ? `${Math.round((100 * first.rows) / told)} % of the rows are ${first.type}. For a model of many uses, cap it or add others; for one use, this is as it should be.`
    : null;
  return {
    band, advice, mix, ...(drowned === null ? {} : { mixAdvice: drowned }),
    quality: { score: Math.round(parts.reduce((sum, part) => sum + part.weight * part.value, 0)), parts },
  };
}

const n = (value: number): string => value.toLocaleString('en');
const rowCount = (count: number): string => `${n(count)} ${count === 1 ? 'row' : 'rows'}`;
