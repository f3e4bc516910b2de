/** Loss as heat: which step of the scale a token is on, and what the steps mean in words. Pure. */
import type { TokenLosses } from '../../stores/types.ts';

/** Steps 0 (as expected) to 4; a difference runs from -2 to 2. */
export interface Heat { step: number; scale: 'loss' | 'difference' }

export interface ShownLosses { view: 'base' | 'tuned' | 'difference'; base: TokenLosses; tuned: TokenLosses | null }

export const VIEW_NAMES = { base: 'Base model', tuned: 'Tuned model', difference: 'Difference' } as const;

/** Borders of the steps as the probability the model gave the token. */
const LOSS_STEPS = [0.9, 0.5, 0.1, 0.01].map((p) => -Math.log(p));
const SAME = 0.1;
const MUCH = 1;

export const LOSS_WORDS = ['over 90 %', '50 to 90 %', '10 to 50 %', '1 to 10 %', 'under 1 %'];
export const DIFFERENCE_WORDS: [step: number, words: string][] = [[-2, 'lower by 1 or more'], [-1, 'lower'], [0, 'within 0.1'], [1, 'higher'], [2, 'higher by 1 or more']];

/** The loss that is shown of a token, nats; null where there is none. */
export function valueAt({ view, base, tuned }: ShownLosses, position: number): number | null {
  const before = base.losses[position] ?? null;
  const after = tuned?.losses[position] ?? null;
  if (view === 'base') return before;
  if (view === 'tuned') return after;
  return before === null || after === null ? null : after - before;
}

export function heatAt(shown: ShownLosses, position: number): Heat | null {
  const value = valueAt(shown, position);
  if (value === null) return null;
  if (shown.view !== 'difference') return { scale: 'loss', step: LOSS_STEPS.filter((border) => value > border).length };
  const size = Math.abs(value);
  return { scale: 'difference', step: size <= SAME ? 0 : Math.sign(value) * (size < MUCH ? 1 : 2) };
}

/** 1.23, or +0.20 of a difference. */
export const formatNats = (value: number, signed = false): string => `${signed && value >= 0.005 ? '+' : ''}${value.toFixed(2).replace('-', '\u2212')}`;

const probability = (loss: number): string => {
  const percent = 100 * Math.exp(-loss);
  return `${percent >= 10 ? percent.toFixed(0) : percent >= 0.1 ? percent.toFixed(1) : 'under 0.1'} %`;
};

/** What is known of one token's loss, for a reading of it: "2.31 (10 %)". */
export function lossWords(shown: ShownLosses, position: number): { term: string; words: string }[] {
  const of = (term: string, losses: TokenLosses | null) => {
    const loss = losses?.losses[position] ?? null;
    return loss === null ? [] : [{ term, words: `${formatNats(loss)} (${probability(loss)})` }];
  };
  const difference = valueAt({ ...shown, view: 'difference' }, position);
  return [...of(shown.tuned ? 'Base' : 'Loss', shown.base), ...of('Tuned', shown.tuned), ...(difference === null ? [] : [{ term: 'Change', words: formatNats(difference, true) }])];
}

const perplexity = (losses: TokenLosses): string => `perplexity ${losses.perplexity! < 100 ? losses.perplexity!.toPrecision(3) : Math.round(losses.perplexity!).toLocaleString('en')}`;

/** The means in a sentence. */
export function meanSentence(base: TokenLosses, tuned: TokenLosses | null): string {
  if (base.mean === null) return 'No token of this row is trained, so there is no mean to give.';
  const before = `A trained token costs the base model ${formatNats(base.mean)} nats on average (${perplexity(base)})`;
  if (!tuned || tuned.mean === null) return `${before}.`;
  // Of what is written, so that the sentence adds up.
  const change = Number(tuned.mean.toFixed(2)) - Number(base.mean.toFixed(2));
  const than = Math.abs(change) < 0.005 ? 'as much as before' : `${formatNats(Math.abs(change))} ${change < 0 ? 'less' : 'more'}`;
  return `${before} and the tuned model ${formatNats(tuned.mean)} (${perplexity(tuned)}): ${than}.`;
}
