import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EtudeError } from '../../src/config/errors.ts';
import { sourceFromBytes, type ByteSource } from '../../src/formats/byteSource.ts';
import { openSafetensors, readBytes, readF32, readI32, streamTensor, writeSafetensors } from '../../src/formats/safetensors.ts';
import { runs } from '../setup/fuzz.ts';

const GOLDENS = new URL('../fixtures/goldens/', import.meta.url);
const golden = (path: string): Uint8Array => readFileSync(new URL(path, GOLDENS));

/** A file with this header text and `dataBytes` bytes of data, whatever sense that makes. */
function fileWith(header: string, dataBytes: number, declaredLength?: bigint): Uint8Array {
  const json = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, declaredLength ?? BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

const open = (bytes: Uint8Array) => openSafetensors(sourceFromBytes(bytes, 'model.safetensors'));

async function refusal(bytes: Uint8Array): Promise<EtudeError> {
  const error = await open(bytes).then(() => null, (e: unknown) => e);
  expect(error).toBeInstanceOf(EtudeError);
  return error as EtudeError;
}

describe('reading', () => {
  it('finds every tensor of a file written by the safetensors library, with its values', async () => {
    const file = await open(golden('llama_padded/model.safetensors'));
    expect(file.metadata).toEqual({ format: 'pt' });
    expect(file.tensors.get('model.embed_tokens.weight')).toMatchObject({ dtype: 'F32', shape: [160, 48] });
    const values = await readF32(file.tensors.get('model.norm.weight')!);
    expect(values.length).toBe(48);
    expect(values.every((v) => v > 0.5 && v < 1.5)).toBe(true);
    const arrays = await open(golden('llama_padded/golden.safetensors'));
    const ids = await readI32(arrays.tensors.get('batch.main.input_ids')!);
    expect(ids.every((id) => id >= 0 && id < 160)).toBe(true);
  });

  it('reads nothing but the header until a tensor is asked for', async () => {
    const bytes = golden('llama_padded/model.safetensors');
    const inner = sourceFromBytes(bytes, 'm');
    let read = 0;
    const counting: ByteSource = { ...inner, read: (a, b) => { read += b - a; return inner.read(a, b); } };
    const file = await openSafetensors(counting);
    const first = [...file.tensors.values()][0]!;
    expect(read).toBe(first.start);
    await readBytes(first);
    expect(read).toBe(first.end);
  });

  it('widens bf16 and f16 exactly, with zeros, subnormals, infinities and NaN', async () => {
    const bf16 = Uint16Array.of(0x3f80, 0xc000, 0x0000, 0x8000, 0x0001, 0x7f80, 0x7fc0, 0x7f7f);
    const f16 = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0xfc00, 0x7e00);
    const file = await open(writeSafetensors(new Map([
      ['b', { dtype: 'BF16', shape: [8], data: bf16 }],
      ['h', { dtype: 'F16', shape: [2, 4], data: f16 }],
    ])));
    const b = await readF32(file.tensors.get('b')!);
    expect([...b]).toEqual([1, -2, 0, -0, 2 ** -133, Infinity, NaN, (2 - 2 ** -7) * 2 ** 127]);
    const h = await readF32(file.tensors.get('h')!);
    expect([...h]).toEqual([1, -2, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 65504, -Infinity, NaN]);
  });

  it('refuses to read whole numbers as floats and floats as whole numbers', async () => {
    const file = await open(writeSafetensors(new Map([
      ['f', { dtype: 'F32', shape: [1], data: new Float32Array(1) }],
      ['i', { dtype: 'I32', shape: [1], data: new Int32Array(1) }],
    ])));
    await expect(readF32(file.tensors.get('i')!)).rejects.toThrow('stored as I32');
    await expect(readI32(file.tensors.get('f')!)).rejects.toThrow('stored as F32');
  });

  it('streams a tensor in chunks that join to its bytes', async () => {
    const data = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
    const file = await open(writeSafetensors(new Map([['a', { dtype: 'U8', shape: [1000], data }]])));
    for (const chunkBytes of [1, 16, 100, 999, 1000, 5000]) {
      const joined = new Uint8Array(1000);
      let largest = 0;
      for await (const { offset, bytes } of streamTensor(file.tensors.get('a')!, chunkBytes)) {
        joined.set(bytes, offset);
        largest = Math.max(largest, bytes.length);
      }
      expect(joined).toEqual(data);
      expect(largest).toBeLessThanOrEqual(Math.max(16, chunkBytes));
    }
  });

  it('takes an empty table, a scalar and a tensor without elements', async () => {
    expect((await open(fileWith('{}', 0))).tensors.size).toBe(0);
    const file = await open(writeSafetensors(new Map([
      ['scalar', { dtype: 'F32', shape: [], data: Float32Array.of(7) }],
      ['none', { dtype: 'F32', shape: [0, 3], data: new Float32Array(0) }],
    ])));
    expect([...await readF32(file.tensors.get('scalar')!)]).toEqual([7]);
    expect((await readF32(file.tensors.get('none')!)).length).toBe(0);
  });
});

describe('writing', () => {
  it('writes the very bytes the safetensors library wrote', async () => {
    for (const path of ['llama_padded/adapter/adapter_model.safetensors', 'qwen3_qknorm/adapter/adapter_model.safetensors', 'llama_padded/golden.safetensors']) {
      const bytes = golden(path);
      const file = await open(bytes);
      const tensors = new Map(await Promise.all([...file.tensors.values()].map(async (entry) =>
        [entry.name, { dtype: entry.dtype, shape: entry.shape, data: await readBytes(entry) }] as const)));
      const shuffled = new Map([...tensors].reverse());
      expect(Buffer.compare(writeSafetensors(shuffled, file.metadata), bytes), path).toBe(0);
    }
  });

  it('pads the header with spaces to a multiple of 8', () => {
    for (const name of ['a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg', 'abcdefgh']) {
      const file = writeSafetensors(new Map([[name, { dtype: 'F32', shape: [1], data: Float32Array.of(1) }]]), { format: 'pt' });
      const length = Number(new DataView(file.buffer).getBigUint64(0, true));
      expect(length % 8).toBe(0);
      expect(new TextDecoder().decode(file.subarray(8, 8 + length))).toMatch(/^\{"__metadata__":\{"format":"pt"\}.*\} *$/);
    }
  });

  it('refuses data that does not fill its shape', () => {
    expect(() => writeSafetensors(new Map([['a', { dtype: 'F32', shape: [3], data: new Float32Array(2) }]]))).toThrow('8 bytes');
  });

  it('gives back any table of tensors that was written', async () => {
    const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
    const table = fc.dictionary(fc.string({ minLength: 1, maxLength: 12 }).filter((n) => n !== '__metadata__'), fc.tuple(shape, fc.constantFrom('F32', 'I32')), { maxKeys: 6 });
    await fc.assert(fc.asyncProperty(table, async (entries) => {
      let next = 0;
      const tensors = new Map(Object.entries(entries).map(([name, [dims, dtype]]) => {
        const n = dims.reduce((a, b) => a * b, 1);
        const data = Int32Array.from({ length: n }, () => next++);
        return [name, { dtype, shape: dims, data }] as const;
      }));
      const file = await open(writeSafetensors(tensors, { format: 'pt' }));
      expect([...file.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
      for (const [name, { dtype, shape: dims, data }] of tensors) {
        const entry = file.tensors.get(name)!;
        expect(entry).toMatchObject({ dtype, shape: dims });
        expect(await readBytes(entry)).toEqual(new Uint8Array(data.buffer));
      }
    }));
  });
});

describe('lies', () => {
  const f32 = (begin: number, end: number, shape: unknown = [(end - begin) / 4]) => ({ dtype: 'F32', shape, data_offsets: [begin, end] });
  const header = (value: unknown) => JSON.stringify(value);

  it.each<[string, Uint8Array, string, string]>([
    ['a file of no bytes', new Uint8Array(0), 'safetensors.truncated', 'it has 0 bytes'],
    ['a file shorter than the length field', new Uint8Array(7), 'safetensors.truncated', 'it has 7 bytes'],
    ['a length field of 2^63', fileWith('{}', 0, 2n ** 63n), 'safetensors.header', '9223372036854775808'],
    ['a length field of 2^64 - 1', fileWith('{}', 0, 2n ** 64n - 1n), 'safetensors.header', '18446744073709551615'],
    ['a header longer than the file', fileWith('{}', 4, 50n), 'safetensors.truncated', '50 bytes'],
    ['a header that is not JSON', fileWith('hello', 0), 'safetensors.header', 'not JSON'],
    ['a header that is a list', fileWith('[]', 0), 'safetensors.header', 'not a JSON object'],
    ['a header with broken UTF-8', (() => { const f = fileWith('{"a":1}', 0); f[10] = 0xff; return f; })(), 'safetensors.header', 'not JSON'],
    ['metadata of numbers', fileWith(header({ __metadata__: { a: 1 } }), 0), 'safetensors.header', '__metadata__'],
    ['a name that occurs twice', fileWith(`{"a":${header(f32(0, 4))},"a":${header(f32(0, 4))}}`, 4), 'safetensors.header', '"a" twice'],
    ['a name that occurs twice under another spelling', fileWith(`{"a":${header(f32(0, 4))},"\\u0061" :${header(f32(0, 4))}}`, 4), 'safetensors.header', '"a" twice'],
    ['a field that occurs twice', fileWith('{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}', 4), 'safetensors.header', '"shape" twice'],
    ['an unknown type', fileWith(header({ a: { dtype: 'Q4', shape: [1], data_offsets: [0, 4] } }), 4), 'safetensors.header', '"Q4"'],
    ['a type that every object has', fileWith(header({ a: { dtype: 'toString', shape: [1], data_offsets: [0, 4] } }), 4), 'safetensors.header', '"toString"'],
    ['a negative dimension', fileWith(header({ a: f32(0, 4, [-1]) }), 4), 'safetensors.header', 'shape'],
    ['half a dimension', fileWith(header({ a: f32(0, 4, [0.5, 2]) }), 4), 'safetensors.header', 'shape'],
    ['a shape that overflows', fileWith(header({ a: f32(0, 4, [2 ** 40, 2 ** 40]) }), 4), 'safetensors.header', 'no file can hold'],
    ['three offsets', fileWith(header({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4, 8] } }), 4), 'safetensors.header', 'offsets'],
    ['offsets in reverse', fileWith(header({ a: { dtype: 'F32', shape: [1], data_offsets: [4, 0] } }), 4), 'safetensors.header', 'before it begins'],
    ['a shape that needs more bytes', fileWith(header({ a: f32(0, 8, [3]) }), 8), 'safetensors.header', 'takes 12'],
    ['an end behind the file', fileWith(header({ a: f32(0, 400) }), 40), 'safetensors.truncated', 'should end'],
    ['overlapping tensors', fileWith(header({ a: f32(0, 8), b: f32(4, 12) }), 12), 'safetensors.layout', '"b" shares 4 bytes'],
    ['the same bytes under two names', fileWith(header({ a: f32(0, 8), b: f32(0, 8) }), 8), 'safetensors.layout', 'shares 8 bytes'],
    ['a gap between tensors', fileWith(header({ a: f32(0, 4), b: f32(8, 12) }), 12), 'safetensors.layout', '4 bytes before "b"'],
    ['bytes behind the last tensor', fileWith(header({ a: f32(0, 4) }), 9), 'safetensors.layout', '5 bytes at its end'],
    ['a description that is a number', fileWith(header({ a: 5 }), 0), 'safetensors.header', 'no description'],
  ])('%s is refused, with the reason', async (_, bytes, code, words) => {
    const error = await refusal(bytes);
    expect(error.code).toBe(code);
    expect(error.userMessage.what).toContain(words);
    expect(error.userMessage.what).toContain('model.safetensors');
    expect(error.userMessage.nextStep).toBeTruthy();
  });

  it('a real file cut off anywhere is refused', async () => {
    const whole = golden('llama_padded/adapter/adapter_model.safetensors');
    for (const keep of [0, 1, 8, 9, 100, 2007, 2008, 2009, whole.length - 1]) {
      expect((await refusal(whole.subarray(0, keep))).code).toBe('safetensors.truncated');
    }
  });

  it('a name called __proto__ is a name like any other', async () => {
    const file = await open(fileWith(`{"__proto__":${header(f32(0, 4))}}`, 4));
    expect([...file.tensors.keys()]).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['dtype']).toBeUndefined();
  });

  it('any change to a header gives tensors inside the file, or a refusal in words', async () => {
    const whole = golden('llama_padded/adapter/adapter_model.safetensors');
    const headerEnd = 8 + Number(new DataView(whole.buffer, whole.byteOffset).getBigUint64(0, true));
    const edit = fc.array(fc.tuple(fc.integer({ min: 0, max: headerEnd - 1 }), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 });
    await fc.assert(fc.asyncProperty(edit, async (edits) => {
      const bytes = Uint8Array.from(whole);
      for (const [at, value] of edits) bytes[at] = value;
      await survives(bytes);
    }), { numRuns: runs(500) });
  });

  it('any bytes and any JSON give tensors inside the file, or a refusal in words', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), survives), { numRuns: runs(300) });
    const entry = fc.record({
      dtype: fc.oneof(fc.constantFrom('F32', 'BF16', 'U8', '__proto__'), fc.jsonValue()),
      shape: fc.oneof(fc.array(fc.nat(9)), fc.array(fc.double()), fc.jsonValue()),
      data_offsets: fc.oneof(fc.tuple(fc.nat(64), fc.nat(64)), fc.array(fc.maxSafeInteger()), fc.jsonValue()),
    }, { requiredKeys: [] });
    const anyHeader = fc.oneof(fc.dictionary(fc.string({ maxLength: 5 }), fc.oneof(entry, fc.jsonValue()), { maxKeys: 4 }), fc.jsonValue());
    await fc.assert(fc.asyncProperty(anyHeader, fc.nat(64), (value, n) => survives(fileWith(header(value), n))), { numRuns: runs(500) });
  });

  async function survives(bytes: Uint8Array): Promise<void> {
    try {
      const file = await open(bytes);
      for (const entry of file.tensors.values()) expect((await readBytes(entry)).length).toBe(entry.end - entry.start);
    } catch (error) {
      if (!(error instanceof EtudeError)) throw error;
      expect(error.userMessage.what.length).toBeLessThan(1000);
    }
  }
});
