/** The interface on the fake worker, for the development server only: /tests/ui/preview.html?scene=NAME */
import { mount } from '../../src/ui/mount.tsx';
import { WorkerClient } from '../../src/worker/client.ts';
import { fakeRun } from './fakeRuns.ts';
import { FakeWorker, type FakeOptions } from './fakeWorker.ts';

const HOUR = 3_600_000;

const SCENES: Record<string, FakeOptions> = {
  plain: {},
  fast: { stepMs: 1, totalSteps: 40 },
  slow: { stepMs: 250, totalSteps: 180 },
  long: { stepMs: 0, totalSteps: 5000 },
  million: { rows: 1_000_000 },
  software: { device: { software: true, description: 'Google SwiftShader', vendor: 'google', architecture: 'swiftshader', f16: false, maxBufferSize: 268_435_456, memoryBudget: 536_870_912 } },
  nogpu: { device: { code: 'device.noWebGpu', what: 'This browser does not offer WebGPU, so nothing can be trained here.', expected: 'Chrome or Edge 121 or newer, Safari 26 or newer, or Firefox 141 or newer on Windows, over https or localhost.', likelyCause: 'An older browser, or hardware acceleration switched off in its settings.', nextStep: 'Open this page in a current Chrome.' } },
  badfile: { fail: { 'data.import': { code: 'data.notJson', what: 'Line 1 of notes.txt is not JSON.', expected: 'JSON, JSONL or CSV with a row for each example.', likelyCause: 'The file is plain text.', nextStep: 'Choose another file' } } },
  runs: {
    runs: [
      fakeRun({ id: 'a', steps: 120, status: 'finished', createdAt: Date.now() - 2 * HOUR }),
      fakeRun({ id: 'b', steps: 47, status: 'interrupted', name: 'Alpaca, rank 16', createdAt: Date.now() - 26 * HOUR }),
      fakeRun({ id: 'c', steps: 30, status: 'stopped', name: 'First try', createdAt: Date.now() - 50 * HOUR }),
    ],
  },
};

const fake = new FakeWorker(SCENES[new URLSearchParams(location.search).get('scene') ?? 'plain']);
Object.assign(window, {
  fake,
  alertOverfitting: () => fake.emit({
    type: 'train.alert', runId: 'run-1', step: 120,
    alert: { code: 'train.overfitting', what: 'Validation loss has risen at the last three checks while training loss still falls.', likelyCause: 'The model is starting to learn the rows by heart. Step 120 was best.', nextStep: 'Stop now, or train fewer epochs next time.' },
  }),
});
mount(document.getElementById('root')!, new WorkerClient(() => fake));
