/**
 * `npm test`: gets the browser it lacks, runs every test on SwiftShader, runs the numbers again on lavapipe where
 * Mesa is installed, and ends with 'N passed, N failed'. Words after `npm test --` go to vitest (files, -t NAME).
 */
import { closeRun, prepareMachine, runVitest } from './vitestRun.ts';

/**
 * What is run a second time on lavapipe, whose subgroups are 8 wide and which has f16: the whole model against its goldens.
 * The kernels one by one follow in `npm run proof`; LLVM compiles their many variants for minutes.
 */
const ON_LAVAPIPE = ['tests/goldens', 'f16'];

export function main(args: string[]): number {
  const started = Date.now();
  const machine = prepareMachine();
  if (machine === null) {
    console.error('npm test needs a Chromium and could not get one; the lines above say what was tried.');
    console.log('0 passed, 1 failed');
    return 1;
  }
  const { env, device, lavapipe } = machine;
  const runs = [runVitest(`All tests, shaders on ${device}`, args, { ...env, ETUDE_TEST_DEVICE: device })];
  // Words for vitest mean that a person is after some tests, not after the whole proof.
  const whole = args.length === 0;
  if (whole && lavapipe !== null && device !== 'lavapipe') {
    runs.push(runVitest('Numbers and f16 again, shaders on lavapipe', ['--project', 'gpu', '--passWithNoTests', ...ON_LAVAPIPE], { ...env, ETUDE_TEST_DEVICE: 'lavapipe' }));
  } else if (whole && device !== 'lavapipe') {
    console.log('\n!! NOT RUN: the tests on lavapipe (f16, subgroups of 8). Mesa 25 or newer is not installed:');
    console.log('!! apt-get install -t bookworm-backports mesa-vulkan-drivers libvulkan1');
  }
  return closeRun(runs, started);
}
