/** Our tokenizer and chat templates beside those of transformers.js, which the page does not load because it drags the ONNX runtime along. */
import { readFile } from 'node:fs/promises';
import { PreTrainedTokenizer } from '@huggingface/transformers';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../src/data/tokenizer.ts';

let ours: Tokenizer;
let theirs: PreTrainedTokenizer;

beforeAll(async () => {
  const read = async (name: string): Promise<object> => JSON.parse(await readFile(`public/builtin/model/${name}`, 'utf8')) as object;
  const [tokenizer, config] = [await read('tokenizer.json'), await read('tokenizer_config.json')];
  ours = loadTokenizer(tokenizer, config);
  theirs = new PreTrainedTokenizer(tokenizer, config);
});

describe("the built-in model's tokenizer", () => {
  it('gives the ids of transformers.js for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        expect(ours.encode(text)).toEqual(theirs.encode(text, { add_special_tokens: false }));
      }),
      { numRuns: 300 },
    );
  });

  it('renders conversations as transformers.js renders them', () => {
    const turn = fc.string({ unit: 'grapheme', maxLength: 20 });
    fc.assert(
      fc.property(fc.array(fc.tuple(turn, turn), { minLength: 1, maxLength: 3 }), fc.boolean(), (pairs, addGenerationPrompt) => {
        const messages = pairs.flatMap(([user, assistant]) => [{ role: 'user' as const, content: user }, { role: 'assistant' as const, content: assistant }]);
        expect(ours.applyChatTemplate(messages, { addGenerationPrompt })).toBe(
          theirs.apply_chat_template(messages, { tokenize: false, add_generation_prompt: addGenerationPrompt }),
        );
      }),
      { numRuns: 100 },
    );
  });
});
