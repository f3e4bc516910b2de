/** The golden cases that are too long for `npm test`. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openEngine, type Engine } from '../../src/engine/device.ts';
import { caseFiles, inWords, LONG_CASES, run } from '../goldens/support.ts';
import { testGpu } from '../setup/gpu.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine(await testGpu());
});
afterAll(() => engine.destroy());

it.each(LONG_CASES)('%s agrees with transformers and PEFT over its whole training run', async (name) => {
  const result = await run(engine, name, await caseFiles(name));
  console.log(inWords(result));
  expect(result.status, inWords(result)).toBe('PASS');
});
