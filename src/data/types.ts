/** The data types that rooms share. Shapes: B rows, T tokens a row. */
import type { TEMPLATE_IDS } from '../config/recipe.ts';

export type TemplateId = (typeof TEMPLATE_IDS)[number];

/** One conversation turn. `trained` false switches an assistant turn off (mask inspector). */
export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
  trained?: boolean;
}

export type DataShape = 'alpaca' | 'prompt-completion' | 'messages' | 'sharegpt' | 'table';

/** Which field of a raw row plays which part. Only the parts its shape uses are set. */
export interface Mapping {
  shape: DataShape;
  instruction?: string;
  input?: string;
  output?: string;
  system?: string;
  /** Field that holds the list of turns (messages, sharegpt). */
  messages?: string;
}

/** A row as IndexedDB keeps it: its place in the file and the parsed value. */
export interface StoredRow {
  /** 0-based position in the dataset. */
  index: number;
  /** 1-based line (JSONL, CSV) or element number (JSON array) in the source file. */
  line: number;
  value: unknown;
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
