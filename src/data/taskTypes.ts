/**
 * Owns the guess what a row asks for: rules with weights in the open, added up by type. Made for English instructions; a
 * prompt in another language mostly comes out as 'other'. Its accuracy on rows labelled by hand is stated in its test.
 */
import type { Message } from './types.ts';

export const TASK_TYPES = ['question-answering', 'summarisation', 'classification', 'extraction', 'generation', 'reasoning', 'code', 'chat', 'other'] as const;
export type TaskType = (typeof TASK_TYPES)[number];

interface Rule {
  type: TaskType;
  weight: number;
  /** What it looks for, in words. */
  words: string;
  /** Tested on the prompt unless `on` says answer. */
  test: RegExp;
  on?: 'answer';
  /** The text holds one of these wherever `test` finds something: cheaper to look for. */
  needs?: readonly string[];
}

const start = (verbs: string): RegExp => new RegExp(`^(?:please |can you |could you |q: |question: )?(?:${verbs})\\b`, 'i');

export const TASK_RULES: readonly Rule[] = [
  { type: 'question-answering', weight: 3, words: 'begins with explain, describe, define, name, list, what, why, who …', test: start('explain|describe|define|name|list|what(?:\'s)?|why|who|when|where|which|how|is|are|do|does|did|can|tell me|give (?:me )?(?:an?|two|three|four|five|\\d+) examples?|compare|identify (?:\\d+|five|three)|state|answer|elaborate|considering|drawing') },
  { type: 'question-answering', weight: 1, words: 'ends with a question mark', test: /\?\s*$/ },
  { type: 'question-answering', weight: 2, words: 'asks for facts: difference, benefits, examples of, importance', test: /\b(?:differences? between|benefits of|importance of|definition of|advantages|history (?:of|behind))\b/i },
  { type: 'generation', weight: 5, words: 'begins with write, create, generate, compose, brainstorm, design …', test: start('(?:help me )?(?:write|create|generate|compose|brainstorm|design|produce|imagine|invent|draft|make|suggest|come up with|plan|assume the role|act as|add \\d+|propose|describe a (?:vision|character|scene))') },
  { type: 'generation', weight: 3, words: 'wants a story, poem, e-mail, essay, slogan, article …', test: /\b(?:write|create|generate|compose|make|headline|give)\b[^.?]{0,60}\b(?:story|poem|rap|song|e-?mail|essay|slogan|article|headline|tweet|post|blog|script|speech|title|paragraph|recipe|itinerary|ideas|plan|dialogue|letter|character)\b/i },
  { type: 'summarisation', weight: 9, words: 'says summarise, condense, TL;DR or in one sentence of a text', test: /\b(?:summari[sz]e|summary of (?:the|this)|tl;?dr|condense|shorten (?:the|this)|main points? of the)\b/i },
  { type: 'summarisation', weight: -9, words: 'has a summary as its input', test: /\bbased on (?:this|the) summary\b/i },
  { type: 'classification', weight: 8, words: 'says classify, categorise, sentiment, label, true or false, sort into groups', test: /\b(?:classify|categori[sz]e|sentiment|sort (?:the|these)[^.]{0,40} into|true,? (?:or )?false|label (?:the|each|this)|spam|part-?s?-?of-?speech|detect (?:if|whether)|your task is to (?:identify|decide|determine|judge|tell) (?:whether|if)|(?:does|is) the (?:following )?(?:sentence|text|tweet|review))\b/i },
  { type: 'classification', weight: 4, words: 'answers with one word of a fixed choice', test: /^(?:yes|no|true|false|positive|negative|neutral|entails?|contradiction)\b[.\s]{0,3}$/i, on: 'answer' },
  { type: 'extraction', weight: 8, words: 'says extract, find all, pick out, identify the … in the text', test: /\b(?:extract|find (?:all|the data points|every)|pick out|highlight the|identify the [\w -]{0,40}(?:in|from) the (?:following |given )?(?:sentences?|text|list|passage|paragraph)|from the (?:list|text|passage))\b/i },
  { type: 'reasoning', weight: 6, words: 'says calculate, compute, solve, step by step, how many, how much', test: /\b(?:calculate|compute|solve|step[- ]by[- ]step calculation|how (?:many|much|far|old|long)\b[^?]{0,80}\?|what is the (?:total|sum|probability|percentage|area|volume|perimeter|next)|find out its|prove that|puzzle|predict the next|convert (?:a|the|\d))/i },
  { type: 'reasoning', weight: 3, words: 'three or more numbers in the prompt', test: /(?:\d[\d,.]*[^\d]+){2,}\d/ },
  { type: 'reasoning', weight: 2, words: 'figures are added or multiplied in the answer', test: /\d\s*[-+*/x×]\s*\$?\d[^=\n]{0,30}=\s*\$?\d/, on: 'answer', needs: ['='] },
  { type: 'code', weight: 7, words: 'names a programming language or tool', test: /\b(?:python|javascript|typescript|java|c\+\+|c#|sql|html|css|bash|regex|matlab|excel (?:table|formula)|pandas|numpy|react|algorithm|array|json schema|api endpoint)\b/i },
  { type: 'code', weight: 5, words: 'the answer holds a block of code', test: /```|\bdef \w+\(|\bfunction \w+\(|#include|public static|SELECT .+ FROM/, on: 'answer', needs: ['```', '#include', 'def ', 'function ', 'public static', 'SELECT '] },
  { type: 'code', weight: 4, words: 'says code, script or program that does something', test: /\b(?:implement|debug|refactor)\b|\bwrite (?:an?|the|some)(?: [\w#+]+)? (?:code|function|program|script that|query)\b|\bcode\b/i },
  { type: 'chat', weight: 7, words: 'greets, or tells what the speaker wants', test: /^(?:hi|hello|hey|good (?:morning|evening))\b[,!. ]|^(?:i want to|i need to|i would like|i'd like)\b/i },
  { type: 'chat', weight: 3, words: 'speaks to the assistant as to a person', test: /\b(?:you are a|your favou?rite|would you|how are you|do you like)\b/i },
  { type: 'other', weight: 8, words: 'rewrites, translates or corrects a text it is given', test: /\b(?:rewrite|reword|rephrase|paraphrase|translate|revise|proofread|edit (?:the|this)|correct the|transform the following|reorgani[sz]e the words|fill in the blank|past tense|adapt the)\b/i },
];

export interface TaskGuess {
  type: TaskType;
  /** The rules that spoke, with their weights. */
  because: { type: TaskType; weight: number; words: string }[];
}

const PROMPT_CHARS = 1500;

export function guessTask(prompt: string, answer: string): TaskGuess {
  const spoke = rulesFor(prompt, answer);
  return { type: typeOf(spoke), because: spoke.map(({ type, weight, words }) => ({ type, weight, words })) };
}

function rulesFor(prompt: string, answer: string): Rule[] {
  const asked = prompt.trim().slice(0, PROMPT_CHARS);
  const given = answer.trim().slice(0, PROMPT_CHARS);
  return TASK_RULES.filter(({ test, on, needs }) => {
    const text = on === 'answer' ? given : asked;
    return (!needs || needs.some((part) => text.includes(part))) && test.test(text);
  });
}

function typeOf(rules: readonly Rule[]): TaskType {
  const scores = new Map<TaskType, number>();
  for (const { type, weight } of rules) scores.set(type, (scores.get(type) ?? 0) + weight);
  const score = (type: TaskType): number => scores.get(type) ?? 0;
  const best = TASK_TYPES.reduce((top, type) => (score(type) > score(top) ? type : top), TASK_TYPES[0]);
  return score(best) > 0 ? best : 'other';
}

/** Of a row: its last question and answer. */
export function taskOf(messages: readonly Message[]): TaskType {
  if (messages[0]?.plain) return 'other';
  const last = messages.findLastIndex((message) => message.role === 'assistant');
  const asked = messages.slice(0, Math.max(0, last)).findLast((message) => message.role === 'user');
  return asked ? typeOf(rulesFor(asked.content, messages[last]?.content ?? '')) : 'other';
}
