/** The data types that rooms share. Shapes: B rows, T tokens a row. */
import type { Mapping } from '../config/mapping.ts';
import type { TEMPLATE_IDS } from '../config/recipe.ts';
import type { SplitSummary } from './table/types.ts';

export type TemplateId = (typeof TEMPLATE_IDS)[number];

/** A call of a tool inside an answer; `arguments` is the object, or text where it is no JSON object. */
export interface ToolCall {
  name: string;
  arguments: unknown;
}

/** One conversation turn. `trained` false switches an assistant turn off (mask inspector). */
export interface Message {
  /** 'tool' is what a tool gave back. */
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
  trained?: boolean;
  toolCalls?: ToolCall[];
  /** Plain text for continued pretraining: no template, every token is trained. */
  plain?: true;
}

export type { DataShape, Mapping } from '../config/mapping.ts';

/** A row as IndexedDB keeps it: its place in the file and the parsed value. */
export interface StoredRow {
  /** 0-based position in the dataset. */
  index: number;
  /** 1-based line (JSONL, CSV) or element number (JSON array) in the source file. */
  line: number;
  value: unknown;
  /** What a person wrote instead; `value` stays for the fields beside the conversation. */
  edited?: Message[];
}

/** A row after template, tokenizer and mask, before truncation is forgotten. */
export interface EncodedRow {
  index: number;
  inputIds: Int32Array;
  /** Same length; the id itself where trained, -100 elsewhere. */
  labels: Int32Array;
  /** Tokens before truncation. */
  fullLength: number;
  /** Labels at index >= 1; 0 means the row must not reach the trainer. */
  numTargets: number;
}

/**
 * What the collator feeds: flat rows of B x T, row-major.
 * labels are NOT shifted: position t predicts labels[t + 1], and labels[:, 0] never counts.
 */
export interface Batch {
  shape: [batch: number, tokens: number];
  inputIds: Int32Array;
  /** -100 is ignored. */
  labels: Int32Array;
  /** Position of each token inside its own example. */
  positions: Int32Array;
  /** 1, 2, .. per example within a row; 0 is padding (left or right). Attention is causal inside a segment. */
  segments: Int32Array;
}

export interface SkippedLine {
  line: number;
  reason: string;
}

/** What an import did to a row, beyond keeping it as it is. */
export interface RowNote {
  /** 1-based line or element of the file. */
  line: number;
  action: 'dropped' | 'changed';
  reason: string;
  /** Which file, where a dataset has several. */
  file?: string;
}

/** A split of a dataset repository, at the commit that was imported. */
export interface HubOrigin { repo: string; commit: string; config: string; split: string }

export interface DatasetSummary {
  id: string;
  name: string;
  source: 'builtin' | 'file' | 'hub';
  /** Where a dataset of the hub came from. */
  hub?: HubOrigin;
  bytes: number;
  rows: number;
  /** Rows that could not be parsed: counted whole, the first 1,000 named. */
  skipped: number;
  skippedLines: SkippedLine[];
  /** Rows kept with a change; each is named in the record of changes. Missing in datasets of an earlier Etude. */
  changed?: number;
  /** What is to be known of the file as a whole: fields not read, a list that never closes. */
  notices?: string[];
  /** The files it was joined from, in order; line numbers begin anew in each. */
  files?: { name: string; bytes: number; rows: number }[];
  /** What edits made of the rows, once there are any: `rows` is then what is left, and indices run up to `next`. */
  edits?: { edited: number; added: number; deleted: number; next: number };
  /** Chosen by hand; without it, the recipe's share is held out. */
  split?: SplitSummary;
  mapping: Mapping;
  /** Why this shape was chosen, in words. */
  detectedBecause: string;
  /** Field names seen in the first rows, for the mapping form. */
  fields: string[];
  createdAt: number;
}

/** A correction of many rows at once, recorded with the dataset and undone as a whole. The stored rows stay as they are. */
export interface AppliedFix {
  id: string;
  /** The finding it answers; or rows switched off one by one, or rows that another dataset has too. */
  kind: FixKind;
  action: FixAction;
  appliedAt: number;
  /** Rows it concerns, all of them, in file order. */
  rows: Int32Array;
  /** Lines of those rows, for the record of changes. */
  lines: Int32Array;
  /** In words: "Exact copies: the first of each is kept". */
  title: string;
}

/** A fix as it is listed. */
export type FixSummary = Pick<AppliedFix, 'id' | 'kind' | 'action' | 'title' | 'appliedAt'> & { rows: number };

export type FixKind = FindingKind | 'row-switch' | 'overlap';

/** 'drop' leaves the rows out, 'trim' takes white space off the ends of their contents. */
export type FixAction = 'drop' | 'trim';

/** A raw row for the table, cut to a displayable size. */
export interface DisplayRow {
  index: number;
  line: number;
  /** Prompt and answer as mapped; `problem` says why a row cannot be used. */
  prompt: string;
  answer: string;
  /** The rejected answer of a preference pair: kept, shown, not trained. */
  rejected?: string;
  problem?: string;
}

export interface InspectedToken {
  id: number;
  text: string;
  trained: boolean;
  special: boolean;
  /** Lost to truncation. */
  cut: boolean;
  /** Where its text comes from, in words: a field of the row, or the template. */
  from: string;
}

/** A stretch of tokens of one turn; text the template adds between turns belongs to the turn it precedes or closes. */
export interface InspectedTurn {
  role: string;
  /** Index into the row's messages, or null when the template added this turn by itself. */
  messageIndex: number | null;
  trained: boolean;
  tokens: InspectedToken[];
}

export interface InspectedRow {
  index: number;
  line: number;
  totalTokens: number;
  trainedTokens: number;
  keptTokens: number;
  turns: InspectedTurn[];
  /** Why the row is refused, when it is. */
  refused?: string;
  /** The rejected answer of a preference pair: kept for later, not trained. */
  rejected?: string;
  /** Titles of the fixes that leave the row out of training; missing where none does. */
  leftOutBy?: string[];
}

export type FindingKind =
  | 'token-beyond-model' | 'no-target' | 'cut' | 'duplicate' | 'empty-answer' | 'no-end-of-turn' | 'injected-text' | 'unproven-mask'
  | 'near-duplicate' | 'short-answer' | 'long-answer' | 'echo' | 'refusal' | 'mojibake' | 'language-mix' | 'pii' | 'prompt-not-prefix'
  | 'broken-alternation' | 'edge-space' | 'skipped-line' | 'missing-field' | 'unknown-role' | 'untrained-control-tokens' | 'unfilled-placeholder' | 'split-special' | 'double-bos' | 'shared-prompt';

export interface Finding {
  kind: FindingKind;
  severity: 'warning' | 'error';
  title: string;
  /** Cause or advice: one sentence. */
  detail: string;
  count: number;
  /** Row indices, at most 1,000. */
  rows: number[];
  /** A correction of all its rows that 'data.applyFix' makes and 'data.undoFix' takes back. */
  fix?: { action: FixAction; title: string };
}

/** What is advised of a set as a whole. */
export interface DataAdvice {
  /** Size band, e.g. '1,000 to 10,000'. */
  band: string;
  /** What to work on in it. */
  advice: string;
  /** Rows by what they ask for, the commonest first: a guess by rules (src/data/taskTypes.ts). */
  mix: { type: string; rows: number }[];
  /** When one task drowns the rest. */
  mixAdvice?: string;
  /** 0 to 100: the parts' values (0 to 1) by their weights, which add up to 100. */
  quality: { score: number; parts: { name: string; weight: number; value: number; words: string }[] };
}

export interface DataReport {
  rows: number;
  usableRows: number;
  droppedRows: number;
  /** Rows that fixes leave out; they are not among the dropped. */
  leftOutRows: number;
  /** Rows by language of their answers, the commonest first, as far as a rough guess goes. */
  languages: [language: string, rows: number][];
  cutRows: number;
  tokens: number;
  labelledTokens: number;
  longest: number;
  /** Bucket i counts rows of [i * width, (i + 1) * width) tokens before truncation. */
  histogram: { width: number; counts: number[] };
  charts: {
    /** As `histogram`: tokens that are not trained, and those that are, of each row. */
    prompts: { width: number; counts: number[] };
    answers: { width: number; counts: number[] };
    /** Usable rows by the share of their kept tokens that is trained, in tenths. */
    shares: number[];
    /** Groups of rows that repeat each other, exactly or nearly: how many of each size, and the largest with their rows (at most 100). */
    clusters: { sizes: [rows: number, groups: number][]; largest: { size: number; rows: number[] }[] };
  };
  checksPassed: number;
  findings: Finding[];
  advice: DataAdvice;
}

/** Finds labels that count: labels[b, t + 1] != -100 with t and t + 1 in the same segment. */
export function countTargets(batch: Batch): number {
  const [B, T] = batch.shape;
  let n = 0;
  for (let b = 0; b < B; b++) {
    for (let t = 0; t + 1 < T; t++) {
      const i = b * T + t;
      if (batch.labels[i + 1] !== -100 && batch.segments[i] !== 0 && batch.segments[i] === batch.segments[i + 1]) n++;
    }
  }
  return n;
}
