/** One prompt, two answers: base and tuned from the same model, streamed side by side. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { useData } from './data.ts';
import { useRecipe } from './recipe.ts';
import { throttle } from './throttle.ts';
import { useTuned } from './tuned.ts';
import type { HeldOutPrompt, SamplingConfig, WorkerEvent } from './types.ts';
import { failure, request } from './worker.ts';

export type Which = 'base' | 'tuned';

export interface Side {
  status: 'empty' | 'streaming' | 'done';
  text: string;
  tokens: number;
  tokensPerSecond: number | null;
  stoppedBy: 'eos' | 'length' | 'user' | null;
  error: UserMessage | null;
  /** Steps of the adapter that gave the answer; null for the base model. */
  step: number | null;
}

interface ChatState {
  prompt: string;
  /** The held-out row the prompt came from, while it is unchanged. */
  heldOut: HeldOutPrompt | null;
  prompts: HeldOutPrompt[];
  promptIndex: number;
  sampling: SamplingConfig;
  base: Side;
  tuned: Side;
}

const emptySide: Side = { status: 'empty', text: '', tokens: 0, tokensPerSecond: null, stoppedBy: null, error: null, step: null };

export const useChat = create<ChatState>(() => ({
  prompt: '', heldOut: null, prompts: [], promptIndex: 0,
  sampling: { temperature: 0.7, topK: 0, topP: 0.95, maxNewTokens: 256, seed: 42 },
  base: emptySide, tuned: emptySide,
}));

interface Stream { which: Which; text: string; tokens: number; startedAt: number }
const streams = new Map<string, Stream>();
let nextStream = 1;

export const chatIsRunning = (s: Pick<ChatState, 'base' | 'tuned'>): boolean =>
  s.base.status === 'streaming' || s.tuned.status === 'streaming';

const patch = (which: Which, change: Partial<Side>): void =>
  useChat.setState((s) => ({ [which]: { ...s[which], ...change } }) as Pick<ChatState, Which>);

const showStreams = throttle(() => {
  for (const s of streams.values()) {
    const seconds = (Date.now() - s.startedAt) / 1000;
    patch(s.which, { text: s.text, tokens: s.tokens, tokensPerSecond: seconds > 0.2 ? s.tokens / seconds : null });
  }
}, 60);

export function handleChatEvent(event: WorkerEvent): void {
  if (event.type !== 'chat.token') return;
  const stream = streams.get(event.streamId);
  if (!stream) return;
  if (stream.tokens === 0) stream.startedAt = Date.now();
  stream.text += event.text;
  stream.tokens++;
  showStreams.call();
}

async function generate(which: Which): Promise<void> {
  const { prompt, sampling } = useChat.getState();
  const streamId = `${which}-${nextStream++}`;
  streams.set(streamId, { which, text: '', tokens: 0, startedAt: Date.now() });
  patch(which, { ...emptySide, status: 'streaming', step: which === 'tuned' ? useTuned.getState().tuned?.step ?? null : null });
  try {
    const result = await request('chat.generate', {
      streamId, which, sampling, messages: [{ role: 'user', content: prompt }], template: useRecipe.getState().recipe.data.template,
    });
    streams.delete(streamId);
    patch(which, { status: 'done', text: result.text, tokens: result.tokens, tokensPerSecond: result.tokensPerSecond, stoppedBy: result.stoppedBy });
  } catch (error) {
    streams.delete(streamId);
    patch(which, { status: 'done', error: failure(error) });
  }
}

/** Sends the prompt to the base model and, when there is an adapter, to the tuned one. */
export async function runPrompt(): Promise<void> {
  const state = useChat.getState();
  if (!state.prompt.trim() || chatIsRunning(state)) return;
  const sides: Which[] = useTuned.getState().tuned ? ['base', 'tuned'] : ['base'];
  if (sides.length === 1) patch('tuned', emptySide);
  await Promise.all(sides.map(generate));
}

export function stopChat(): void {
  for (const streamId of streams.keys()) void request('chat.stop', { streamId }).catch(() => undefined);
}

export function setPrompt(prompt: string): void {
  useChat.setState((s) => ({ prompt, heldOut: s.heldOut?.prompt === prompt ? s.heldOut : null }));
}

export const setSampling = (change: Partial<SamplingConfig>): void =>
  useChat.setState((s) => ({ sampling: { ...s.sampling, ...change } }));

/** Puts the next held-out prompt into the box and clears the answers to the last one. */
export function nextHeldOut(): void {
  const { prompts, promptIndex } = useChat.getState();
  const heldOut = prompts[promptIndex % Math.max(1, prompts.length)];
  if (!heldOut) return;
  useChat.setState({ prompt: heldOut.prompt, heldOut, promptIndex: promptIndex + 1, base: emptySide, tuned: emptySide });
}

/** Fetches prompts the run never trained on; the first one fills an empty box. */
export async function loadHeldOut(): Promise<void> {
  const datasetId = useData.getState().currentId;
  if (!datasetId) return;
  try {
    const prompts = await request('chat.heldOutPrompts', { datasetId, limit: 50 });
    useChat.setState({ prompts, promptIndex: 0 });
    if (!useChat.getState().prompt) nextHeldOut();
  } catch {
    useChat.setState({ prompts: [] });
  }
}

/** Answers of a model or adapter that is gone are not shown under the new one. */
export const clearAnswers = (): void => useChat.setState({ base: emptySide, tuned: emptySide });
