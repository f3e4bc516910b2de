import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { loadTokenizer, type Tokenizer } from '../../src/data/tokenizer.ts';

const readJson = (path: string): unknown => JSON.parse(readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8'));

export const byteLevelJson = readJson('../fixtures/tokenizer/bytelevel.json') as Record<string, unknown>;
export const byteLevelConfig = readJson('../fixtures/tokenizer/bytelevel_config.json') as Record<string, unknown>;

/** 2,048 byte-level tokens; <|endoftext|> = 0, <|im_start|> = 1, <|im_end|> = 2 (eos); ChatML template. */
export const byteLevel = (template?: string): Tokenizer => loadTokenizer(byteLevelJson, byteLevelConfig, template);

const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
const words = ['<unk>', '<s>', '</s>', ...bytes, '▁', 'a', 'b', 'c', 'd', 'é', 'ab', '▁a', '▁ab', 'cd'];

/** Sentencepiece style, as Llama 2 has it: a "▁" in front, spaces as "▁", bytes for what it lacks. */
export const sentencePieceJson = {
  version: '1.0', truncation: null, padding: null, post_processor: null, pre_tokenizer: null,
  added_tokens: [
    { id: 0, content: '<unk>', special: true, normalized: false },
    { id: 1, content: '<s>', special: true, normalized: false },
    { id: 2, content: '</s>', special: true, normalized: false },
  ],
  normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] },
  decoder: {
    type: 'Sequence',
    decoders: [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }],
  },
  model: {
    type: 'BPE', dropout: null, unk_token: '<unk>', continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: true, byte_fallback: true,
    vocab: Object.fromEntries(words.map((word, id) => [word, id])), merges: ['a b', '▁ a', '▁ ab', 'c d', '▁a b'],
  },
};

export const sentencePiece = (): Tokenizer =>
  loadTokenizer(structuredClone(sentencePieceJson), { bos_token: '<s>', eos_token: { content: '</s>', __type: 'AddedToken' }, unk_token: '<unk>' });
