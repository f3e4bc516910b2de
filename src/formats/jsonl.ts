/** Owns JSON Lines: one JSON value a line, blank lines left out, a line that does not parse named and passed over. */
import { readLines, type RowRead } from './lines.ts';

export async function* readJsonl(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RowRead> {
  for await (const { line, text, problem } of readLines(chunks)) {
    if (text === null) yield { line, problem: problem! };
    else if (text.trim() !== '') yield parseRow(line, text);
  }
}

export function parseRow(line: number, text: string): RowRead {
  try {
    return { line, value: JSON.parse(text) as unknown };
  } catch (error) {
    return { line, problem: `not JSON: ${parserWords(error)}` };
  }
}

/** The parser's words without the piece of data that V8 quotes. */
export const parserWords = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/, ?"[^]*" is not valid JSON$/, '').replace(/ in JSON/, '').slice(0, 160);
