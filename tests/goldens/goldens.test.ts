/** The whole engine beside transformers and PEFT, and proof that the comparison can fail. llama_long is in `npm run proof`. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS, type CaseResult } from '../../src/worker/conformance/runCase.ts';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { sourceFromBytes } from '../../src/formats/byteSource.ts';
import { testGpu } from '../setup/gpu.ts';
import { caseFiles, CASES, inWords, LONG_CASES, run, type CaseFiles } from './support.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine(await testGpu());
});
afterAll(() => engine.destroy());

describe('logits, hidden states, gradients, whole training runs, adapters and generated text are those of transformers and PEFT', () => {
  it.each(CASES.filter((name) => !LONG_CASES.includes(name)))('%s', async (name) => {
    const live = engine.memory.live;
    const result = await run(engine, name, await caseFiles(name));
    expect(result.status, inWords(result)).toBe('PASS');
    // A case that compared nothing would pass too.
    expect(Object.keys(result.figures).sort()).toEqual(Object.keys(LIMITS).sort());
    expect(Object.keys(result.exact).sort()).toEqual(['adapter keys', 'config fields', 'generated ids', 'targets counted']);
    expect(engine.memory.live, 'bytes left behind').toBe(live);
  });
});

describe('the comparison fails, with the right reason, when', () => {
  /** The smallest case, with one file changed. */
  const NAME = 'qwen3_bf16';
  const changed = async (change: (files: CaseFiles) => Promise<void>): Promise<CaseResult> => {
    const files = await caseFiles(NAME);
    await change(files);
    return run(engine, NAME, files);
  };
  const bytesOf = async (files: CaseFiles['files'], name: string): Promise<Uint8Array> => files.get(name)!.read(0, files.get(name)!.size);
  const changeGolden = (change: (golden: Golden) => void) => changed(async ({ files }) => {
    const golden = JSON.parse(new TextDecoder().decode(await bytesOf(files, 'golden.json'))) as Golden;
    // One short run is enough to be caught.
    golden.train = [{ ...golden.train[0]!, steps: 4 }];
    change(golden);
    files.set('golden.json', sourceFromBytes(new TextEncoder().encode(JSON.stringify(golden)), 'golden.json'));
  });
  interface Golden {
    lora: { scaling: number; alpha: number };
    train: { lr: number; eps: number; steps: number; log: { num_items: number }[]; data: string[][]; max_grad_norm: number }[];
    generation: { base: number[] }[];
  }
  const reasons = (r: CaseResult, kind: string): string[] => r.reasons.filter((reason) => reason.startsWith(kind));

  it('one weight of the model is off by a hundredth', async () => {
    const result = await changed(async ({ files }) => {
      const name = 'model-00001-of-00002.safetensors';
      const bytes = await bytesOf(files, name);
      const view = new DataView(bytes.buffer);
      // A bf16 in the middle of the data: its two lowest mantissa bits are 2^-7 and 2^-6 of it.
      const at = (bytes.length >> 2) * 2;
      view.setUint16(at, view.getUint16(at, true) ^ 3, true);
      files.set(name, sourceFromBytes(bytes, name));
    });
    expect(result.status).toBe('FAIL');
    expect(reasons(result, 'logitsRel').length + reasons(result, 'hiddenRel').length, inWords(result)).toBeGreaterThan(0);
    expect(reasons(result, 'lrRel')).toEqual([]);
  });

  it('the learning rate is a thousandth higher than the reference used', async () => {
    const result = await changeGolden((golden) => {
      golden.train[0]!.lr *= 1.001;
    });
    expect(result.status).toBe('FAIL');
    expect(reasons(result, 'lrRel').length, inWords(result)).toBeGreaterThan(0);
    expect([...reasons(result, 'logitsRel'), ...reasons(result, 'gradRel')]).toEqual([]);
  });

  it('alpha is one too large: with the adapter everything is off, without it nothing', async () => {
    const result = await changeGolden((golden) => {
      golden.lora.alpha += 1;
    });
    expect(result.status).toBe('FAIL');
    expect(reasons(result, 'gradRel').length, inWords(result)).toBeGreaterThan(0);
    expect(reasons(result, 'logitsRel').every((reason) => /_lora|adapter/.test(reason)), inWords(result)).toBe(true);
  });

  it('one generated id differs, and when a step is trained on another batch', async () => {
    const result = await changeGolden((golden) => {
      golden.generation[0]!.base[3]! += 1;
      golden.train[0]!.data[2] = golden.train[0]!.data[1]!;
    });
    expect(result.status).toBe('FAIL');
    expect(reasons(result, 'generation 0 base').length, inWords(result)).toBe(1);
    expect(reasons(result, 'trainLoss')[0], inWords(result)).toMatch(/step 2/);
    expect(reasons(result, 'lrRel')).toEqual([]);
  });

  it('the model is of a kind the engine does not compute: UNSUPPORTED, which is no pass either', async () => {
    const result = await changed(async ({ files }) => {
      const config = JSON.parse(new TextDecoder().decode(await bytesOf(files, 'config.json')));
      files.set('config.json', sourceFromBytes(new TextEncoder().encode(JSON.stringify({ ...config, hidden_act: 'gelu' })), 'config.json'));
    });
    expect(result.status).toBe('UNSUPPORTED');
    expect(result.reasons.join()).toContain('gelu');
  });
});
