/** Answers in Try: base or tuned model, streamed, and the questions to ask. */
import type { Requests } from '../protocol.ts';
import { ask } from './chat.ts';
import type { HandlersOf } from './handlers.ts';
import { heldOutPrompts } from './planning.ts';
import type { SessionState } from './state.ts';

async function generate(state: SessionState, { streamId, messages, template, which, sampling }: Requests['chat.generate']['args']): Promise<Requests['chat.generate']['result']> {
  const model = state.needModel();
  const adapter = which === 'tuned' ? state.needTuned().adapter : null;
  const abort = new AbortController();
  state.streams.set(streamId, abort);
  try {
    return await ask(model, {
      messages, template, adapter, sampling, signal: abort.signal, onText: (text) => state.environment.emit({ type: 'chat.token', streamId, text }),
    });
  } finally {
    state.streams.delete(streamId);
  }
}

export const chatHandlers = (state: SessionState): HandlersOf<'chat'> => ({
  'chat.generate': (args) => generate(state, args),
  'chat.stop': async ({ streamId }) => (state.streams.get(streamId)?.abort(), null),
  'chat.heldOutPrompts': async ({ datasetId, limit }) => heldOutPrompts({ ...(await state.data()), model: state.model, loadBuiltin: state.environment.loadBuiltin }, datasetId, limit),
});
