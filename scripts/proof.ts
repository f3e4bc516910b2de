/**
 * `npm run proof`: the long checks of tests/proof (the built-in example in full, large files, fuzzing at length), at most
 * 40 minutes on two cores, on lavapipe where it is installed, then every kernel there too. What they measure they print. Words after `npm run proof --` go to vitest.
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
  const { env, device, lavapipe } = machine;
  // Whole runs take six times as long on SwiftShader; what they reach is the same, and `npm test` holds it against the same goldens.
  const longRuns = process.env.ETUDE_TEST_DEVICE ?? (lavapipe === null ? device : 'lavapipe');
  const runs = [runVitest('Proof', ['--config', 'vitest.proof.config.ts', ...args], { ...env, ETUDE_TEST_DEVICE: longRuns })];
  if (args.length === 0 && lavapipe !== null && device !== 'lavapipe') {
    runs.push(runVitest('Kernels again, shaders on lavapipe', ['--project', 'gpu', 'tests/kernels', 'tests/model'], { ...env, ETUDE_TEST_DEVICE: 'lavapipe' }));
  }
  return closeRun(runs, started);
}
