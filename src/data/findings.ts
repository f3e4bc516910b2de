/**
 * Owns the words and the severity of the report's findings. Refuses to know how they were counted.
 */
import type { ContentResult } from './contentChecks.ts';
import { conversationTemplate, type RowEncoder } from './template.ts';
import { MaskRefusal } from './templates/rendered.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { Finding, FindingKind, Message } from './types.ts';

/** Noted with a refused row that calls a tool or holds what one gave back. */
export const CALLS_TOOLS = 'calls tools';

/** What the pass over the rows counted. */
export interface Tally {
  /** Lines that could not be parsed at import. */
  skipped: number;
  /** Trained tokens lost to truncation. */
  labelsCut: number;
  /** Rows whose end-of-turn token was lost to truncation. */
  endsCut: number;
  note(row: number, kind: FindingKind): void;
  /** Notes a row that is dropped, with the reason of the first. */
  refuse(row: number, kind: FindingKind, reason: string): void;
  /** Notes a text that a finding quotes. */
  words(kind: FindingKind, text: string): void;
  count(kind: FindingKind): number;
  /** At most 1,000, for showing. */
  rows(kind: FindingKind): number[];
  /** All of them. */
  all(kind: FindingKind): Int32Array;
  reason(kind: FindingKind): string;
  /** How often a text was noted for a finding. */
  countOf(kind: FindingKind, text: string): number;
  /** Quoted texts, the most frequent first. */
  commonest(kind: FindingKind): string[];
}

interface Facts {
  rows: number;
  usable: number;
  maxLength: number | null;
  tokenizer: Tokenizer;
  encoder: Pick<RowEncoder, 'templateId' | 'template' | 'splitControlTokens'>;
  content: ContentResult;
  /** Rows whose prompt was compared with the whole row. */
  prefixesChecked: number;
}

/** A share of dropped rows above which training must not start as if nothing were wrong. */
const DROPPED_LIMIT = 0.3;

const number = (value: number): string => value.toLocaleString('en');
const rowsOf = (count: number): string => (count === 1 ? '1 row' : `${number(count)} rows`);
const quote = (text: string): string => `"${text.length > 160 ? `${text.slice(0, 160)}…` : text}"`;

/** A finding less its kind and rows; `count` where it is not the number of rows noted. */
type Described = Omit<Finding, 'kind' | 'rows' | 'count'> & { count?: number };
type Describe = (tally: Tally, facts: Facts, kind: FindingKind) => Described | null;

/** One check a kind, in the order in which they are shown; null where the check passed. */
const CHECKS: Record<FindingKind, Describe> = {
  'no-target': refused((count) => `${rowsOf(count)} without anything to learn`, (reason, { maxLength }) =>
    `They are dropped. The first: ${reason}.${maxLength === null ? '' : ` A larger maximum length than ${number(maxLength)} may keep rows that were cut.`}`),
  'unknown-role': refused((count) => `${rowsOf(count)} with a role no template here can write`, (reason) => `They are dropped. The first: ${reason}.`),
  'missing-field': refused((count) => `${rowsOf(count)} without the mapped fields`, (reason) => `They are dropped. The first: ${reason}. Correct the mapping if it is wrong.`),
  'token-beyond-model': refused((count) => `${rowsOf(count)} with a token this model has no weights for`, (reason) => `They are dropped. The first: ${reason}.`),
  'unproven-mask': refused((count) => `${rowsOf(count)} whose trained part cannot be proven`, (reason, facts, tally) => `They are dropped. The first: ${reason}. ${whatTakes(facts, tally)}`),
  'skipped-line': ({ skipped }) => skipped === 0 ? null : {
    severity: 'warning', count: skipped, title: `${skipped === 1 ? '1 line' : `${number(skipped)} lines`} could not be read`,
    detail: 'They were passed over at import; the list of lines with reasons is kept with the dataset.',
  },
  'split-special': (_, { encoder }) => encoder.splitControlTokens.length === 0 ? null : {
    severity: 'error', count: encoder.splitControlTokens.length, title: `This model does not have ${encoder.splitControlTokens.map(quote).join(', ')}`,
    detail: 'The marks of this template fall into several tokens, so no answer can end. Choose the model\'s own template or Alpaca.',
  },
  'untrained-control-tokens': (_, { encoder, tokenizer, usable }) => {
    const unknown = encoder.templateId === 'model' ? [] : encoder.template.controlTokens.filter((token) => !tokenizer.chatTemplate?.source.includes(token));
    if (encoder.splitControlTokens.length > 0) return null;
    if (unknown.length === 0) return writesOtherwise(encoder, tokenizer) ? {
      severity: 'warning', count: usable, title: 'The model was made for another template than this',
      detail: 'Its own chat template writes turns in another way, so training begins further back. Choose it, unless the model is to be asked in this form.',
    } : null;
    return {
      severity: 'warning', count: usable, title: `The model may never have learned ${unknown.map(quote).join(', ')}`,
      detail: tokenizer.hasChatTemplate ? "The model's own template does not use these marks; it is the safer choice." : 'A base model has no chat template; Alpaca needs no special marks.',
    };
  },
  'double-bos': counted((count) => `${rowsOf(count)} with two beginning-of-text tokens`, () => 'The row brings one and the template adds one; take it out of the data.'),
  'no-end-of-turn': counted((count) => `${rowsOf(count)} whose answer does not learn to end`, (tally) => {
    const { endsCut } = tally;
    if (endsCut === tally.count('no-end-of-turn')) return 'The end-of-turn token was cut off by the maximum length.';
    return `The template writes no end-of-turn token after these answers${endsCut === 0 ? '' : ` (in ${number(endsCut)} of them it was cut off)`}: the tuned model may not stop.`;
  }),
  cut: counted((count, { maxLength }) => `${rowsOf(count)} longer than ${number(maxLength ?? 0)} tokens`, ({ labelsCut }) =>
    `They are cut there; ${number(labelsCut)} labelled tokens are lost. A larger maximum length keeps them.`),
  duplicate: counted((count) => `${count === 1 ? '1 row repeats' : `${number(count)} rows repeat`} an earlier row`, () =>
    'Exact copies weigh double in training. Rows with the same prompt are never divided between training and validation.'),
  'near-duplicate': (tally, { content: { near } }) => {
    const count = tally.count('near-duplicate');
    if (near === null || count === 0) return null;
    return {
      severity: 'warning', title: `${count === 1 ? '1 row is' : `${number(count)} rows are`} nearly the same as an earlier row`,
      detail: `They fall into ${number(near.clusters)} group${near.clusters === 1 ? '' : 's'} that share three quarters of their words and every number. The same example told twice weighs double.${near.partial ? ' There were too many to compare all.' : ''}`,
    };
  },
  'shared-prompt': counted((count) => `${rowsOf(count)} ${count === 1 ? 'asks' : 'ask'} what an earlier row asks`, (_, { content: { near } }) =>
    `With other answers. Divided between training and validation they would be asked in both, so each question stays on one side.${near?.partial ? ' Of questions that are nearly the same, not all were compared: some may be in both.' : ''}`),
  'short-answer': counted((count) => `${rowsOf(count)} with a very short answer`, (_, { content: { lengths } }) =>
    `Half of the answers here have ${number(lengths.median)} characters or more. Look whether these broke off.`),
  'long-answer': counted((count) => `${rowsOf(count)} with a very long answer`, (_, { content: { lengths } }) =>
    `19 of 20 answers here have at most ${number(lengths.p95)} characters. These weigh as much as many others together.`),
  echo: counted((count) => `${rowsOf(count)} whose answer repeats the prompt`, () => 'They teach the model to say the question again.'),
  refusal: counted((count) => `${rowsOf(count)} with a refusal or the words of an AI model`, (tally) =>
    `Found by English phrases such as ${tally.commonest('refusal').slice(0, 3).map(quote).join(', ')}. Keep them only if the model is to say that.`),
  mojibake: counted((count) => `${rowsOf(count)} with text in a wrong encoding`, (tally) =>
    `Such as ${tally.commonest('mojibake').slice(0, 2).map(quote).join(', ')}. Export the data again as UTF-8.`),
  'language-mix': counted((count, { content: { languages } }) => `${rowsOf(count)} in another language than ${languages[0]?.[0] ?? 'the others'}`, (_, { content: { languages } }) =>
    `Answers by a rough guess: ${languages.slice(0, 5).map(([language, rows]) => `${language} ${number(rows)}`).join(', ')}. Intended for a model of several languages, a mistake for others.`),
  pii: counted((count) => `${rowsOf(count)} with what looks like personal data or a secret`, (tally) =>
    `Among them ${tally.commonest('pii').slice(0, 4).join(', ')}. A tuned model can repeat them to anyone: look at these rows before you export.`),
  'prompt-not-prefix': counted((count) => `${rowsOf(count)} whose prompt alone gives other tokens`, (_, { prefixesChecked }) =>
    `What the model is asked in use is not what it was trained to go on from: the tokens at the border differ. ${number(prefixesChecked)} rows were checked.`),
  'broken-alternation': counted((count) => `${rowsOf(count)} whose turns do not alternate`, (tally) => `Such as: ${tally.commonest('broken-alternation').slice(0, 2).join('; ')}. Many templates refuse or misplace such turns.`),
  'edge-space': counted((count) => `${rowsOf(count)} with white space around an answer`, () => 'It is trained as it is: the model learns to begin or end with it.'),
  'empty-answer': counted((count) => `${rowsOf(count)} with an empty answer`, () => 'They teach the model to answer nothing.'),
  'unfilled-placeholder': counted((count) => `${rowsOf(count)} with a placeholder left unfilled`, (tally) =>
    `The model would learn to say ${tally.commonest('unfilled-placeholder').slice(0, 5).map(quote).join(', ')}.`),
  'injected-text': counted((count) => `The template adds text of its own to ${rowsOf(count)}`, (tally) =>
    `It is shown in the inspector and not trained: ${tally.commonest('injected-text').slice(0, 2).map(quote).join('; ')}.`),
};

/** Corrections that lose nothing a person would miss; the others want a look at each row. */
export const FIXES: Partial<Record<FindingKind, NonNullable<Finding['fix']>>> = {
  duplicate: { action: 'drop', title: 'Exact copies: the first of each is kept' },
  'near-duplicate': { action: 'drop', title: 'Near duplicates: the first of each group is kept' },
  'empty-answer': { action: 'drop', title: 'Rows with an empty answer are left out' },
  'unfilled-placeholder': { action: 'drop', title: 'Rows with an unfilled placeholder are left out' },
  echo: { action: 'drop', title: 'Rows whose answer repeats the prompt are left out' },
  refusal: { action: 'drop', title: 'Refusals are left out' },
  mojibake: { action: 'drop', title: 'Rows in a wrong encoding are left out' },
  pii: { action: 'drop', title: 'Rows with look-alikes of personal data are left out' },
  'edge-space': { action: 'trim', title: 'White space is taken off the ends of texts' },
};

const PROBE: Message[] = [{ role: 'user', content: 'a0' }, { role: 'assistant', content: 'b1' }];

/** Whether the model's own template never writes what this one does. */
function writesOtherwise({ templateId, template }: Facts['encoder'], tokenizer: Tokenizer): boolean {
  if (templateId === 'model' || !tokenizer.hasChatTemplate) return false;
  const written = template.render(PROBE).text;
  const turns = written.slice(tokenizer.bosToken !== null && written.startsWith(tokenizer.bosToken) ? tokenizer.bosToken.length : 0).trim();
  try {
    return !conversationTemplate('model', tokenizer).render(PROBE).text.includes(turns);
  } catch (error) {
    if (error instanceof MaskRefusal) return false;
    throw error;
  }
}

/** Which template can take rows whose mask cannot be proven. Tool calls are written by models' own templates alone. */
function whatTakes({ encoder }: Facts, tally: Tally): string {
  const [count, withTools] = [tally.count('unproven-mask'), tally.countOf('unproven-mask', CALLS_TOOLS)];
  const other = encoder.templateId === 'model' ? 'ChatML, Llama 3 and Alpaca write every turn as it is' : "The model's own template may take them";
  if (withTools === 0) return `${other}.`;
  const tools = 'rows that call tools need the own template of a model that writes such calls';
  return withTools === count ? `No other template here takes them: ${tools}.` : `${other}; ${tools}.`;
}

/** A finding on rows that are dropped: an error once too many of them are. */
function refused(title: (count: number) => string, detail: (reason: string, facts: Facts, tally: Tally) => string): Describe {
  return (tally, facts, kind) => {
    const count = tally.count(kind);
    const severity = facts.rows - facts.usable > DROPPED_LIMIT * facts.rows ? 'error' : 'warning';
    return count === 0 ? null : { severity, title: title(count), detail: detail(tally.reason(kind), facts, tally) };
  };
}

/** A finding on rows that are trained all the same. */
function counted(title: (count: number, facts: Facts) => string, detail: (tally: Tally, facts: Facts) => string): Describe {
  return (tally, facts, kind) => {
    const count = tally.count(kind);
    return count === 0 ? null : { severity: 'warning', title: title(count, facts), detail: detail(tally, facts) };
  };
}

/** The findings, and how many checks found nothing. */
export function describeFindings(tally: Tally, facts: Facts): { findings: Finding[]; checksPassed: number } {
  const checks = Object.entries(CHECKS) as [FindingKind, Describe][];
  const findings = checks.flatMap(([kind, describe]): Finding[] => {
    const found = describe(tally, facts, kind);
    const fix = FIXES[kind];
    return found ? [{ kind, rows: tally.rows(kind), count: tally.count(kind), ...found, ...(fix ? { fix } : {}) }] : [];
  });
  return { findings, checksPassed: checks.length - findings.length };
}
