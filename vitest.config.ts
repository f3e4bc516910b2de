import { defineConfig } from 'vitest/config';

/** Rooms whose tests run shaders. Two files at a time: a software adapter uses every core, but compiles on one. */
const GPU_TESTS = ['engine', 'kernels', 'model', 'train', 'goldens', 'worker'].map((room) => `tests/${room}/**/*.test.ts`);
const E2E_TESTS = ['tests/e2e/**/*.test.ts'];
/** End-to-end tests that hardly compute go first. All run two files at a time, since much of each is starting up and waiting. */
const PAGE_TESTS = ['data', 'formats', 'hub', 'hubPage', 'load', 'offline', 'screens', 'share'].map((name) => `tests/e2e/${name}.test.ts`);

export default defineConfig({
  test: {
    pool: 'forks',
    isolate: true,
    passWithNoTests: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          environment: 'node',
          include: ['tests/**/*.test.ts', 'tests/**/*.test.tsx'],
          exclude: [...GPU_TESTS, ...E2E_TESTS, 'tests/proof/**'],
          testTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'gpu',
          environment: 'node',
          include: GPU_TESTS,
          setupFiles: ['tests/setup/gpuErrors.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'pages',
          environment: 'node',
          include: PAGE_TESTS,
          globalSetup: ['tests/setup/buildStudio.ts'],
          expect: { poll: { timeout: 60_000, interval: 50 } },
          testTimeout: 240_000,
          hookTimeout: 240_000,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          environment: 'node',
          include: E2E_TESTS,
          exclude: PAGE_TESTS,
          globalSetup: ['tests/setup/buildStudio.ts'],
          expect: { poll: { timeout: 60_000, interval: 50 } },
          testTimeout: 240_000,
          hookTimeout: 240_000,
          maxWorkers: 2,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
