import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseFinetuneArgs } from '../../src/cli/args.ts';
import { EtudeError } from '../../src/config/errors.ts';

const complete = ['--model', 'builtin', '--data', 'rows.jsonl', '--out', 'there'];

function refusal(args: string[]): EtudeError {
  try {
    parseFinetuneArgs(args);
  } catch (error) {
    if (error instanceof EtudeError) return error;
    throw error;
  }
  throw new Error(`'${args.join(' ')}' was accepted`);
}

describe('the words after npm run finetune', () => {
  test('need a model, data and a place for the adapter; the rest has defaults', () => {
    expect(parseFinetuneArgs(complete)).toEqual({
      model: 'builtin', data: 'rows.jsonl', dataConfig: null, dataSplit: null, out: 'there', recipe: null, quantization: null, adapter: null, runtime: 'browser', device: 'auto', overwrite: false,
    });
    for (const option of ['model', 'data', 'out']) {
      const at = complete.indexOf(`--${option}`);
      const error = refusal(complete.toSpliced(at, 2));
      expect(error.code).toBe('cli.argument');
      expect(error.message).toBe(`--${option} is missing.`);
    }
  });

  test('name the runtime, the device, a recipe and an adapter to start from', () => {
    expect(parseFinetuneArgs([...complete, '--runtime', 'node', '--device', 'lavapipe', '--recipe', 'r.json', '--adapter', 'a', '--overwrite']))
      .toMatchObject({ runtime: 'node', device: 'lavapipe', recipe: 'r.json', adapter: 'a', overwrite: true });
    expect(parseFinetuneArgs(complete.map((word) => (word === '--out' ? '--out=x' : word)).filter((word) => word !== 'there'))).toMatchObject({ out: 'x' });
  });

  test('are refused with the choices when they are none of them', () => {
    expect(refusal([...complete, '--device', 'tpu']).userMessage).toMatchObject({ what: "--device is 'tpu'.", expected: 'One of swiftshader, lavapipe, gpu, auto.' });
    expect(refusal([...complete, '--quantization', 'q4']).userMessage.expected).toBe('One of none, int8, nf4.');
    expect(refusal([...complete, '--runtime', 'deno']).userMessage.expected).toBe('One of browser, node.');
    expect(refusal([...complete, '--device', 'lavapipe']).message).toContain('does not work with --runtime browser');
    expect(refusal([...complete, '--learning-rate', '1']).userMessage.expected).toContain('--recipe');
    expect(refusal(['builtin', ...complete]).code).toBe('cli.argument');
  });

  test('ask for help before anything else is checked', () => {
    expect(parseFinetuneArgs(['--help'])).toBe('help');
    expect(parseFinetuneArgs(['-h', '--device', 'tpu'])).toBe('help');
  });

  test('are either understood or refused in words, whatever they are', () => {
    fc.assert(fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom('--model', '--out', '--data', '--device', '--runtime', '--', '-h'))), (words) => {
      try {
        parseFinetuneArgs(words);
      } catch (error) {
        expect(error).toBeInstanceOf(EtudeError);
      }
    }));
  });
});
