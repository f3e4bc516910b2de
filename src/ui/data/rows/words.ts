/** What the table of rows says: counts, conditions, names of tasks. Pure. */
import type { DatasetSummary, Finding, RowView } from '../../../stores/types.ts';
import { formatCount, formatWhole, plural } from '../../format.ts';

type Where = RowView['where'];
type Range = readonly [number, number];

/** No upper bound was given. */
export const OPEN_END = Number.MAX_SAFE_INTEGER;

/** The types a person can ask for, in the order of the rules that guess them. */
export const TASKS = ['question-answering', 'summarisation', 'classification', 'extraction', 'generation', 'reasoning', 'code', 'chat', 'other'] as const satisfies NonNullable<Where['task']>;

export const taskName = (task: string): string => task.replaceAll('-', ' ');

/** "at least 40", "up to 90", "40 to 90". */
export function rangeWords([min, max]: Range, least = 0, most = OPEN_END): string {
  if (max >= most) return `at least ${formatWhole(min)}`;
  if (min <= least) return `up to ${formatWhole(max)}`;
  return `${formatWhole(min)} to ${formatWhole(max)}`;
}

/** Bounds as they are typed; undefined where neither narrows anything. Swapped where the lower is the higher. */
export function toRange(min: number | null, max: number | null, least = 0, most = OPEN_END): Range | undefined {
  const low = Math.max(least, min ?? least);
  const high = Math.min(most, max ?? most);
  if (low <= least && high >= most) return undefined;
  return low <= high ? [low, high] : [high, low];
}

/** What each condition narrows to, in words, as its button says it; null where it narrows nothing. */
export function whereWords(where: Where, findings: readonly Pick<Finding, 'kind' | 'title'>[]): Record<'task' | 'finding' | 'quality' | 'prompt' | 'answer' | 'held' | 'edited' | 'leftOut', string | null> {
  return {
    task: where.task?.length ? where.task.map(taskName).join(', ') : null,
    finding: where.finding ? findings.find((f) => f.kind === where.finding)?.title ?? taskName(where.finding) : null,
    quality: where.quality ? rangeWords(where.quality, 0, 100) : null,
    prompt: where.prompt ? rangeWords(where.prompt) : null,
    answer: where.answer ? rangeWords(where.answer) : null,
    held: where.held === undefined ? null : where.held ? 'held out' : 'for training',
    edited: where.edited === undefined ? null : where.edited ? 'edited' : 'as imported',
    leftOut: where.leftOut ? 'left out' : null,
  };
}

const NAMES = { task: 'Task', finding: '', quality: 'Quality', prompt: 'Prompt length', answer: 'Answer length', held: '', edited: '', leftOut: '' } as const;

/** "Answer cut off, quality up to 60, “orlu”": what a view narrows the rows to. */
export function viewTitle({ search, where }: RowView, findings: readonly Pick<Finding, 'kind' | 'title'>[]): string {
  const words = Object.entries(whereWords(where, findings)).flatMap(([key, value]) => (value === null ? [] : [`${NAMES[key as keyof typeof NAMES]} ${value}`.trim()]));
  const title = [...words, ...(search.trim() ? [`“${search.trim()}”`] : [])].join(', ');
  return `${title[0]?.toUpperCase() ?? ''}${title.slice(1)}`;
}

interface Counted { count: number; total: number; narrowed: boolean; search: { searched: number; total: number; state: 'searching' | 'cancelled' } | null }

/** "142 of 52,002 rows"; of a search that goes on also how far it is. */
export function countWords({ count, total, narrowed, search }: Counted): string {
  const all = plural(total, 'row');
  if (search?.state === 'searching') return `${formatCount(count)} found so far, ${formatCount(search.searched)} of ${plural(search.total, 'row')} searched`;
  if (search?.state === 'cancelled') return `${formatCount(count)} found in the first ${formatCount(search.searched)} of ${plural(search.total, 'row')}; the search was cancelled`;
  return narrowed ? `${formatCount(count)} of ${all}` : all;
}

/** Which of the files a dataset was joined from a row came from; null where there is one, or none. */
export function fileOf(files: DatasetSummary['files'], index: number): string | null {
  if (!files || files.length < 2) return null;
  let rows = 0;
  return files.find((file) => index < (rows += file.rows))?.name ?? null;
}

/** "12", with the line where rows and lines of the file part ways, and the file where there are several. */
export const placeWords = ({ index, line }: { index: number; line: number }, files?: DatasetSummary['files']): string => {
  const row = `Row ${formatWhole(index + 1)}`;
  if (line === 0) return `${row}, added by hand`;
  const file = fileOf(files, index);
  if (file !== null) return `${row}, line ${formatWhole(line)} of ${file}`;
  return line === index + 1 ? row : `${row}, line ${formatWhole(line)} of the file`;
};
