/** An error watch around every GPU test: WebGPU reports a wrong binding or size beside the result, not in it. */
import { afterEach } from 'vitest';
import { takeUncapturedErrors } from './gpu.ts';

afterEach(async () => {
  const errors = await takeUncapturedErrors();
  if (errors.length > 0) throw new Error(`WebGPU reported ${errors.length} error(s) that no scope caught:\n${errors.join('\n')}`);
});
