/**
 * Owns what is known of a row by itself, and its quality: 0 to 100 as a sum of parts in view. The parts are those of the
 * score of a whole set (data/advice) as far as one row shows them: near duplicates and cuts need all rows and a tokenizer,
 * and stand in the report alone.
 */
import { alternation } from './detectors/alternation.ts';
import { echo } from './detectors/echo.ts';
import { mojibake } from './detectors/mojibake.ts';
import { placeholdersOf } from './detectors/placeholder.ts';
import { refusals } from './detectors/refusals.ts';
import type { QualityPart } from './table/types.ts';
import { BRACES, MODEL_WORDS, ODD, TextScan } from './table/textScan.ts';
import { taskOf, type TaskType } from './taskTypes.ts';
import type { Message } from './types.ts';

/** What is wrong with a row, a bit each. */
export const MARKS = { noConversation: 1, emptyAnswer: 2, placeholder: 4, mojibake: 8, echo: 16, refusal: 32, outOfTurn: 64, repeats: 128 } as const;
const UNCLEAN: [mark: number, words: string][] = [
  [MARKS.emptyAnswer, 'an empty answer'], [MARKS.placeholder, 'a placeholder left unfilled'], [MARKS.mojibake, 'text in a wrong encoding'],
  [MARKS.echo, 'an answer that repeats the prompt'], [MARKS.refusal, 'a refusal or the words of an AI model'], [MARKS.outOfTurn, 'turns out of order'],
];
const ANY_UNCLEAN = UNCLEAN.reduce((all, [mark]) => all | mark, 0);

const WEIGHTS = { usable: 30, once: 25, clean: 25, substance: 20 };
/** An answer of so many characters has substance; tasks that ask for a word are not held to it. */
const ENOUGH_CHARS = 24;
const TERSE: ReadonlySet<TaskType> = new Set(['classification', 'extraction', 'question-answering', 'reasoning']);
/** Code, tables and verse say some triples of words twice. */
const USUAL_REPEATS = 0.3;

export interface RowFacts {
  /** Of MARKS; `repeats` is added by whoever knows the other rows. */
  marks: number;
  /** Characters of all answers, and of all other turns. */
  answerChars: number;
  promptChars: number;
  task: TaskType;
  /** Share of the answers' word triples that were said before. */
  repeatedShare: number;
  /** Equal for rows of the same roles and texts; 0 for a row without a conversation. */
  hash: number;
}

const NOTHING: RowFacts = { marks: MARKS.noConversation, answerChars: 0, promptChars: 0, task: 'other', repeatedShare: 0, hash: 0 };
const ROLE_MARK = { system: 1, user: 2, assistant: 3, tool: 4 } as const;
const scan = new TextScan();

const charsOf = ({ content, toolCalls }: Message): number =>
  content.length + (toolCalls ?? []).reduce((sum, call) => sum + call.name.length + JSON.stringify(call.arguments).length, 0);

/** Of a row's messages; null where it makes no conversation. */
export function factsOf(messages: readonly Message[] | null): RowFacts {
  if (!messages) return NOTHING;
  let [marks, answerChars, promptChars, answers] = [0, 0, 0, 0];
  scan.begin();
  for (const message of messages) {
    const isAnswer = message.role === 'assistant';
    scan.add(message.content, ROLE_MARK[message.role], isAnswer);
    if (isAnswer) {
      answers++;
      answerChars += charsOf(message);
      if (message.content.trim() === '' && !message.toolCalls?.length) marks |= MARKS.emptyAnswer;
    } else {
      promptChars += charsOf(message);
    }
  }
  const { signs } = scan;
  if (answers === 0) marks |= MARKS.noConversation;
  if (signs & BRACES && placeholdersOf(messages).length > 0) marks |= MARKS.placeholder;
  if (signs & ODD && mojibake.look(messages) !== null) marks |= MARKS.mojibake;
  if (echo.look(messages) !== null) marks |= MARKS.echo;
  if (refusals.look(signs & MODEL_WORDS ? messages : shortened(messages)) !== null) marks |= MARKS.refusal;
  if (alternation.look(messages) !== null) marks |= MARKS.outOfTurn;
  return { marks, answerChars, promptChars, task: taskOf(messages), repeatedShare: scan.repeatedShare, hash: scan.hash };
}

/** Without the words of a model, only the beginning of an answer can refuse. */
const REFUSAL_CHARS = 400;
const shortened = (messages: readonly Message[]): readonly Message[] =>
  messages.map((message) => (message.content.length > REFUSAL_CHARS ? { ...message, content: message.content.slice(0, REFUSAL_CHARS) } : message));

function substance({ marks, answerChars, repeatedShare, task }: RowFacts): number {
  if (marks & MARKS.emptyAnswer) return 0;
  const long = TERSE.has(task) ? Math.min(1, answerChars) : Math.min(1, answerChars / ENOUGH_CHARS);
  return long * (1 - Math.max(0, repeatedShare - USUAL_REPEATS) / (1 - USUAL_REPEATS));
}

/** 0 to 100. */
export function qualityOf(facts: RowFacts): number {
  const { marks } = facts;
  return Math.round(
    (marks & (MARKS.noConversation | MARKS.emptyAnswer) ? 0 : WEIGHTS.usable) + (marks & MARKS.repeats ? 0 : WEIGHTS.once) +
    (marks & ANY_UNCLEAN ? 0 : WEIGHTS.clean) + WEIGHTS.substance * substance(facts),
  );
}

/** The parts that `qualityOf` adds up, in words. */
export function qualityParts(facts: RowFacts): QualityPart[] {
  const { marks, answerChars, repeatedShare } = facts;
  const usable = (marks & (MARKS.noConversation | MARKS.emptyAnswer)) === 0;
  const wrong = UNCLEAN.filter(([mark]) => marks & mark).map(([, words]) => words);
  return [
    { name: 'Usable', weight: WEIGHTS.usable, value: usable ? 1 : 0, words: usable ? 'there is an answer to train' : 'there is no answer to train' },
    { name: 'Told once', weight: WEIGHTS.once, value: marks & MARKS.repeats ? 0 : 1, words: marks & MARKS.repeats ? 'it repeats an earlier row' : 'no earlier row is the same' },
    { name: 'Clean', weight: WEIGHTS.clean, value: wrong.length > 0 ? 0 : 1, words: wrong.length > 0 ? `it has ${wrong.join(' and ')}` : 'nothing is empty, unfilled, garbled, echoing, refusing or out of turn' },
    {
      name: 'Substance', weight: WEIGHTS.substance, value: substance(facts),
      words: `the answer has ${answerChars.toLocaleString('en')} characters and says ${Math.round(100 * repeatedShare)}\u202f% of its word triples again`,
    },
  ];
}
