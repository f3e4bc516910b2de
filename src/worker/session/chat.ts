/**
 * Owns asking the resident model something: a prompt through a template, tokens out as text. Base and tuned share weights.
 */
import { EtudeError } from '../../config/errors.ts';
import type { Message, TemplateId } from '../../data/types.ts';
import type { LoraAdapter } from '../../model/lora.ts';
import type { Requests, SamplingConfig } from '../protocol.ts';
import type { LoadedModel } from './loadedModel.ts';

export type ChatResult = Requests['chat.generate']['result'];

export interface ChatQuestion {
  messages: readonly Message[];
  template: TemplateId;
  /** Null asks the base model. */
  adapter: LoraAdapter | null;
  sampling: SamplingConfig;
  signal?: AbortSignal;
  onText?: (text: string) => void;
}

export async function ask(model: LoadedModel, q: ChatQuestion): Promise<ChatResult> {
  const { ids, stopIds: templateStops } = model.encoder(q.template, null).prompt(q.messages);
  const generator = await model.generator(q.adapter);
  if (ids.length >= generator.contextLength) {
    throw new EtudeError({
      code: 'chat.tooLong',
      what: `The question is ${ids.length.toLocaleString('en')} tokens long; this model holds ${generator.contextLength.toLocaleString('en')} with the answer.`,
      nextStep: 'Shorten the question.',
    });
  }
  const stopIds = [...new Set([...templateStops, ...model.config.eosTokenIds])];
  const decoder = model.tokenizer.streamDecoder({ skipSpecial: true });
  const started = performance.now();
  let text = '';
  let tokens = 0;
  let stoppedBy: ChatResult['stoppedBy'] = 'length';
  const say = (piece: string): void => {
    if (piece === '') return;
    text += piece;
    q.onText?.(piece);
  };
  for await (const id of generator.generate(ids, { maxNewTokens: q.sampling.maxNewTokens, stopIds, sampling: q.sampling, ...(q.signal ? { signal: q.signal } : {}) })) {
    tokens++;
    if (stopIds.includes(id)) {
      stoppedBy = 'eos';
      break;
    }
    say(decoder.push(id));
  }
  say(decoder.flush());
  if (q.signal?.aborted) stoppedBy = 'user';
  return { text, tokens, tokensPerSecond: tokens / Math.max(1e-3, (performance.now() - started) / 1000), stoppedBy };
}
