/** Owns what a row's tokens cost the base or the tuned model: one forward pass, asked for while no run goes on. */
import { IGNORE_INDEX } from '../../data/template.ts';
import type { Requests, TokenLosses } from '../protocol.ts';
import { refuse } from './refuse.ts';
import type { SessionState } from './state.ts';

export async function tokenLoss(state: SessionState, args: Requests['data.tokenLoss']['args']): Promise<TokenLosses> {
  const model = state.needModel();
  if (state.busy) throw refuse('run.busy', 'A run uses the GPU and changes the adapter: what a token costs now would be out of date at once.', 'Ask again when the run has ended, or stop it.');
  const adapter = args.which === 'tuned' ? state.needTuned().adapter : null;
  const encoded = await (await state.data()).datasets.encoded(model, args);
  if (!encoded.ok) throw refuse('data.rowRefused', `This row never reaches the model: ${encoded.reason}.`, 'Choose another row, or correct the mapping or the template.');
  const { inputIds, labels, fullLength } = encoded.row;
  const values = await model.tokenLosses(adapter, inputIds);
  let [sum, trained] = [0, 0];
  values.forEach((loss, t) => {
    if (t > 0 && labels[t] !== IGNORE_INDEX) [sum, trained] = [sum + loss, trained + 1];
  });
  const mean = trained > 0 ? sum / trained : null;
  return { losses: Array.from({ length: fullLength }, (_, t) => (t > 0 && t < values.length ? values[t]! : null)), mean, perplexity: mean === null ? null : Math.exp(mean) };
}
