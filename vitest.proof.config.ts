import { defineConfig } from 'vitest/config';

/** Long checks: one file at a time, each in a process of its own, and their output as it comes. */
export default defineConfig({
  test: {
    name: 'proof',
    environment: 'node',
    pool: 'forks',
    include: ['tests/proof/**/*.test.ts'],
    globalSetup: ['tests/setup/buildStudio.ts'],
    fileParallelism: false,
    testTimeout: 2_400_000,
    hookTimeout: 600_000,
    disableConsoleIntercept: true,
    passWithNoTests: false,
  },
});
