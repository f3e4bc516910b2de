/**
 * Owns the three templates that are ours to write. The trained stretches are known while the text is written; nothing
 * is searched for. No system text and no generation prompt is added to a row.
 *   chatml  each message: <|im_start|>{role}\n{content}<|im_end|>\n
 *   llama3  bos, then each message: <|start_header_id|>{role}<|end_header_id|>\n\n{content, stripped}<|eot_id|>
 *   alpaca  bos if there is one; system text and a blank line, where not empty; ### Instruction:\n{content}\n\n### Response:\n
 *           for a user turn; {content}{eos} for an answer, and a blank line unless it is the last message
 */
import { pythonStrip } from '../pythonStrip.ts';
import type { Message, TemplateId } from '../types.ts';
import { isTrained, type ConversationTemplate, type Rendered } from './rendered.ts';

interface SpecialTokens {
  bosToken: string | null;
  eosToken: string | null;
}

/** What one message becomes: text before the content, the content, the end-of-turn token, text after it. */
interface TurnText {
  before: string;
  content: string;
  endOfTurn: string;
  after: string;
}

interface FixedTemplate {
  /** Written once before everything. */
  start: string;
  turn(message: Message, isLast: boolean): TurnText;
  /** Opens the next answer. */
  generationPrompt: string;
  stopTokens: string[];
  controlTokens: string[];
}

const llama3Header = (role: string): string => `<|start_header_id|>${role}<|end_header_id|>\n\n`;

const TEMPLATES: Record<Exclude<TemplateId, 'model'>, (tokens: SpecialTokens) => FixedTemplate> = {
  chatml: () => ({
    start: '',
    turn: ({ role, content }) => ({ before: `<|im_start|>${role}\n`, content, endOfTurn: '<|im_end|>', after: '\n' }),
    generationPrompt: '<|im_start|>assistant\n',
    stopTokens: ['<|im_end|>'],
    controlTokens: ['<|im_start|>', '<|im_end|>'],
  }),
  llama3: ({ bosToken }) => ({
    start: bosToken ?? '',
    turn: ({ role, content }) => ({ before: llama3Header(role), content: pythonStrip(content), endOfTurn: '<|eot_id|>', after: '' }),
    generationPrompt: llama3Header('assistant'),
    stopTokens: ['<|eot_id|>'],
    controlTokens: ['<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'],
  }),
  alpaca: ({ bosToken, eosToken }) => ({
    start: bosToken ?? '',
    turn: ({ role, content }, isLast) => {
      if (role === 'system') return { before: '', content, endOfTurn: '', after: content === '' ? '' : '\n\n' };
      if (role === 'user') return { before: '### Instruction:\n', content, endOfTurn: '', after: '\n\n### Response:\n' };
      return { before: '', content, endOfTurn: eosToken ?? '', after: isLast ? '' : '\n\n' };
    },
    generationPrompt: '',
    stopTokens: eosToken === null ? [] : [eosToken],
    controlTokens: [],
  }),
};

export function fixedTemplate(id: Exclude<TemplateId, 'model'>, tokens: SpecialTokens): ConversationTemplate {
  const template = TEMPLATES[id](tokens);
  return {
    stopTokens: template.stopTokens,
    controlTokens: template.controlTokens,
    render: (messages) => render(template, messages, false),
    renderPrompt: (messages) => render(template, messages, true).text,
  };
}

function render(template: FixedTemplate, messages: readonly Message[], prompt: boolean): Rendered {
  const rendered: Rendered = { text: template.start, turns: [], trained: [], injected: [] };
  let turnStart = 0;
  messages.forEach((message, messageIndex) => {
    const { before, content, endOfTurn, after } = template.turn(message, !prompt && messageIndex === messages.length - 1);
    const start = rendered.text.length + before.length;
    const end = start + content.length + endOfTurn.length;
    rendered.text += before + content + endOfTurn + after;
    const trained = isTrained(message);
    if (trained) rendered.trained.push({ start, end, messageIndex, closed: endOfTurn !== '' });
    rendered.turns.push({ role: message.role, messageIndex, start: turnStart, end: rendered.text.length, trained, content: { start, end: start + content.length } });
    turnStart = rendered.text.length;
  });
  if (prompt) rendered.text += template.generationPrompt;
  return rendered;
}
