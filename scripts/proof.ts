/**
 * `npm run proof`: the long checks of tests/proof (the built-in example in full, large files, fuzzing at length), at most
 * 40 minutes on two cores. What they measure they print. Words after `npm run proof --` go to vitest.
 */
import { closeRun, prepareMachine, runVitest } from './vitestRun.ts';

export function main(args: string[]): number {
  const started = Date.now();
  const machine = prepareMachine();
  if (machine === null) {
    console.error('npm run proof needs a Chromium and could not get one; the lines above say what was tried.');
    console.log('0 passed, 1 failed');
    return 1;
  }
  const run = runVitest('Proof', ['--config', 'vitest.proof.config.ts', ...args], { ...machine.env, ETUDE_TEST_DEVICE: machine.device });
  return closeRun([run], started);
}
