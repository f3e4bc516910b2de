/** The columns of the table: how they are called, what they sort by, how wide they are. */
import type { SortColumn } from '../../../stores/rowView.ts';

export interface Column {
  id: 'row' | 'line' | 'task' | 'prompt' | 'promptChars' | 'answer' | 'answerChars' | 'total' | 'quality';
  /** On the column's head. */
  title: string;
  /** Read out, where the head is too short to stand alone. */
  label?: string;
  sort?: SortColumn;
}

export const COLUMNS: readonly Column[] = [
  { id: 'row', title: 'Row', sort: 'row' },
  { id: 'line', title: 'Line' },
  { id: 'task', title: 'Task', sort: 'task' },
  { id: 'prompt', title: 'Prompt' },
  { id: 'promptChars', title: 'Chars', label: 'Characters of the prompt', sort: 'prompt' },
  { id: 'answer', title: 'Answer' },
  { id: 'answerChars', title: 'Chars', label: 'Characters of the answer', sort: 'answer' },
  { id: 'total', title: 'Total', label: 'Characters of all turns', sort: 'total' },
  { id: 'quality', title: 'Quality', label: 'Quality, of 100', sort: 'quality' },
];

/** The orders a list without column heads offers. */
export const ORDERS: readonly { value: string; label: string; by: SortColumn; descending: boolean }[] = [
  { value: 'row', label: 'Order of the file', by: 'row', descending: false },
  { value: 'row-', label: 'File, last first', by: 'row', descending: true },
  { value: 'quality', label: 'Quality, lowest first', by: 'quality', descending: false },
  { value: 'quality-', label: 'Quality, highest first', by: 'quality', descending: true },
  { value: 'prompt-', label: 'Longest prompt first', by: 'prompt', descending: true },
  { value: 'prompt', label: 'Shortest prompt first', by: 'prompt', descending: false },
  { value: 'answer-', label: 'Longest answer first', by: 'answer', descending: true },
  { value: 'answer', label: 'Shortest answer first', by: 'answer', descending: false },
  { value: 'total-', label: 'Longest row first', by: 'total', descending: true },
  { value: 'total', label: 'Shortest row first', by: 'total', descending: false },
  { value: 'task', label: 'Task, A to Z', by: 'task', descending: false },
  { value: 'task-', label: 'Task, Z to A', by: 'task', descending: true },
];
