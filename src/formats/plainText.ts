/**
 * Owns plain text as rows {text}: whole paragraphs gathered to about a page, so that a row fits a model's context and no
 * word is lost. Blank lines between rows are all that is left out. Refuses to know what trains on it.
 */
import { readLines, type RowRead } from './lines.ts';

/** A row ends at the first blank line after so many characters, */
const ROW_CHARS = 1500;
/** or at the first line end after so many. */
const MOST_CHARS = 4000;

export async function* readPlainText(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RowRead> {
  let lines: string[] = [];
  let chars = 0;
  let from = 1;
  const row = (): RowRead[] => {
    while (lines.at(-1)?.trim() === '') lines.pop();
    const text = lines.join('\n');
    lines = [];
    chars = 0;
    return text === '' ? [] : [{ line: from, value: { text } }];
  };
  for await (const { line, text, problem } of readLines(chunks)) {
    if (text === null) {
      yield* row();
      yield { line, problem: problem! };
      continue;
    }
    const blank = text.trim() === '';
    if (lines.length === 0) {
      if (blank) continue;
      from = line;
    }
    lines.push(text);
    chars += text.length + 1;
    if ((blank && chars >= ROW_CHARS) || chars >= MOST_CHARS) yield* row();
  }
  yield* row();
}
