/** Owns JSON Lines: one JSON value a line, blank lines left out, a line that does not parse named and passed over. */
import { parseRow } from './jsonRow.ts';
import { readLines, type RowRead } from './lines.ts';

export async function* readJsonl(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RowRead> {
  for await (const { line, text, problem } of readLines(chunks)) {
    if (text === null) yield { line, problem: problem! };
    else if (text.trim() !== '') yield parseRow(line, text);
  }
}
