import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { EtudeError } from '../../src/config/errors.ts';
import { AddedTokenSplitter, type AddedToken } from '../../src/data/addedTokens.ts';
import { align } from '../../src/data/alignment.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import { byteLevel, byteLevelConfig, byteLevelJson, sentencePiece } from './helpers.ts';

const tokenizer = byteLevel();
/** Texts with many kinds of characters, lone surrogates included. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.array(fc.oneof(fc.constantFrom('<|im_start|>', '<|im_end|>', ' ', '\n', '👍🏽', '\ud83d', 'é', 'The capital of '), fc.string({ maxLength: 6 })), { maxLength: 12 }).map((parts) => parts.join('')),
);
const wellFormed = (text: string): string => text.replaceAll(/\p{Surrogate}/gu, '\uFFFD');

describe('A byte-level tokenizer', () => {
  it('gives back every text it encoded', () => {
    fc.assert(fc.property(anyText, (text) => {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(wellFormed(text));
    }), { numRuns: 300 });
  });

  it('gives the same ids with places as without, and places that cover the text in order', () => {
    fc.assert(fc.property(anyText, (text) => {
      const { ids, start, end } = tokenizer.encodeWithOffsets(text);
      expect(ids).toEqual(tokenizer.encode(text));
      let covered = 0;
      ids.forEach((_, i) => {
        // A token that continues a character shares its place with the token before it.
        expect(start[i]!).toBeLessThanOrEqual(covered);
        expect(end[i]!).toBeGreaterThanOrEqual(covered);
        covered = end[i]!;
      });
      expect(covered).toBe(text.length);
    }), { numRuns: 300 });
  });

  it('gives every token of a character split over tokens the place of the whole character', () => {
    const { start, end } = tokenizer.encodeWithOffsets('a👍b');
    expect(start.length).toBeGreaterThan(3);
    expect(start.slice(1, -1).every((at) => at === 1)).toBe(true);
    expect(end.slice(1, -1).every((at) => at === 3)).toBe(true);
  });

  it('reads special-token literals in a text as special tokens', () => {
    expect(tokenizer.encode('<|im_start|>user\n')).toEqual([1, ...tokenizer.encode('user\n')]);
    expect(tokenizer.specialIds).toEqual(new Set([0, 1, 2]));
    expect(tokenizer.decode([1, 2], { skipSpecial: true })).toBe('');
    expect([tokenizer.bosToken, tokenizer.eosToken, tokenizer.eosTokenId, tokenizer.bosTokenId]).toEqual([null, '<|im_end|>', 2, null]);
  });

  it('streams any ids as the decoding of all of them, and never half a character', () => {
    const ids = fc.array(fc.integer({ min: 0, max: tokenizer.vocabSize + 5 }), { maxLength: 60 });
    fc.assert(fc.property(ids, (ids) => {
      const stream = tokenizer.streamDecoder({ skipSpecial: false });
      const pieces = [...ids.map((id) => stream.push(id)), stream.flush()];
      expect(pieces.join('')).toBe(tokenizer.decode(ids));
      for (const piece of pieces) expect(piece).toBe(wellFormed(piece));
    }), { numRuns: 300 });
  });

  it('holds the bytes of a character back until the last one comes', () => {
    const ids = tokenizer.encode('é👍');
    const stream = tokenizer.streamDecoder();
    const pieces = ids.map((id) => stream.push(id));
    expect(pieces.filter((piece) => piece !== '')).toEqual(['é', '👍']);
    expect(pieces.at(-1)).toBe('👍');
  });

  it('shows a token that is no whole character by its bytes', () => {
    const shown = tokenizer.encode('👍').map((id) => tokenizer.tokenText(id));
    expect(shown.join('')).toBe('<0xF0><0x9F><0x91><0x8D>');
    expect(tokenizer.tokenText(99_999)).toBe('<unknown 99999>');
  });

  it('leaves ids outside the vocabulary out of a text', () => {
    expect(tokenizer.decode([])).toBe('');
    expect(tokenizer.decode([999_999, ...tokenizer.encode('Oslo')])).toBe('Oslo');
  });
});

describe('A sentencepiece tokenizer', () => {
  const sentence = sentencePiece();

  it('falls back to bytes for what its vocabulary lacks and places them on the character', () => {
    const { ids, start, end } = sentence.encodeWithOffsets('ab 日 é');
    expect(ids.map((id) => sentence.tokenText(id))).toEqual([' ab', ' ', '<0xE6>', '<0x97>', '<0xA5>', ' ', 'é']);
    expect(start).toEqual([0, 2, 3, 3, 3, 4, 5]);
    expect(end).toEqual([2, 3, 4, 4, 4, 5, 6]);
    expect(sentence.decode(ids)).toBe('ab 日 é');
  });

  it('streams bytes only once they are a character', () => {
    const stream = sentence.streamDecoder();
    expect(sentence.encode('a日b').map((id) => stream.push(id))).toEqual(['a', '', '', '日', 'b']);
  });

  it('gives back every text and places that end with it', () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd', ' ', 'é', '日', '👍', '\n', '</s>'), minLength: 1, maxLength: 20 }), (text) => {
      const encoded = sentence.encodeWithOffsets(text);
      expect(encoded.ids).toEqual(sentence.encode(text));
      expect(encoded.end.at(-1)).toBe(text.length);
    }), { numRuns: 200 });
  });

  it('knows a special token that the config writes as an object', () => {
    expect([sentence.eosToken, sentence.eosTokenId, sentence.bosTokenId]).toEqual(['</s>', 2, 1]);
  });
});

describe('Damaged tokenizer files', () => {
  it.each([
    ['no object', 'text', {}],
    ['no model', { version: '1.0' }, {}],
    ['an unknown model type', { ...byteLevelJson, model: { type: 'Neural', vocab: 3 } }, byteLevelConfig],
    ['an unknown pre-tokenizer', { ...byteLevelJson, pre_tokenizer: { type: 'Telepathy' } }, byteLevelConfig],
    ['no config', byteLevelJson, null],
    ['a template that does not parse', byteLevelJson, { ...byteLevelConfig, chat_template: '{% for m in %}' }],
  ])('%s is refused in words', (_, json, config) => {
    expect(() => loadTokenizer(json, config)).toThrow(EtudeError);
  });
});

describe('Added tokens', () => {
  const token = (id: number, content: string, more: Partial<AddedToken> = {}): AddedToken =>
    ({ id, content, special: true, normalized: false, singleWord: false, lstrip: false, rstrip: false, ...more });
  const cut = (tokens: AddedToken[], text: string) => new AddedTokenSplitter(tokens).split(text).map(({ start, end, token }) => [text.slice(start, end), token?.id ?? null]);

  it('are found leftmost and longest', () => {
    expect(cut([token(1, 'ab'), token(2, 'abc')], 'xabcab')).toEqual([['x', null], ['abc', 2], ['ab', 1]]);
  });

  it('swallow white space where they say so, and only then', () => {
    expect(cut([token(1, '<m>', { lstrip: true })], 'a  <m> b')).toEqual([['a', null], ['  <m>', 1], [' b', null]]);
    expect(cut([token(1, '<m>', { rstrip: true })], 'a <m>  b')).toEqual([['a ', null], ['<m>  ', 1], ['b', null]]);
  });

  it('that must be single words are not found inside words', () => {
    expect(cut([token(1, 'cat', { singleWord: true })], 'concat cat')).toEqual([['concat ', null], ['cat', 1]]);
  });

  it('cover the text whatever the tokens', () => {
    fc.assert(fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', ' '), minLength: 1, maxLength: 3 }), { maxLength: 5 }),
      fc.string({ unit: fc.constantFrom('a', 'b', ' ', 'c'), maxLength: 20 }), (contents, text) => {
        const sections = new AddedTokenSplitter(contents.map((content, id) => token(id, content))).split(text);
        expect(sections.map(({ start, end }) => text.slice(start, end)).join('')).toBe(text);
      }), { numRuns: 200 });
  });
});

describe('Alignment', () => {
  const source = (text: string) => ({ text, start: null, end: null });

  it('traces a composed character back to the characters it came from', () => {
    const aligned = align({ type: 'NFC' }, source('xe\u0301y'))!;
    expect(aligned.text).toBe('xéy');
    expect([...aligned.start!]).toEqual([0, 1, 3]);
    expect([...aligned.end!]).toEqual([1, 3, 4]);
  });

  it('traces any text through any Unicode form, in order and to its end', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), fc.constantFrom('NFC', 'NFD', 'NFKC', 'NFKD'), (text, type) => {
      const aligned = align({ type }, source(text));
      if (aligned === null) return;
      expect(aligned.text).toBe(text.normalize(type));
      if (aligned.end && aligned.text !== '') expect(aligned.end.at(-1)).toBe(text.length);
    }), { numRuns: 300 });
  });

  it('does not guess what it cannot trace', () => {
    expect(align({ type: 'Precompiled' }, source('x'))).toBeNull();
    expect(align({ type: 'Replace', pattern: { Regex: 'x' }, content: 'y' }, source('x'))).toBeNull();
  });
});
