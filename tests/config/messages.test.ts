import { describe, expect, it } from 'vitest';
import { EtudeError, toUserMessage, type UserMessage } from '../../src/config/errors.ts';
import * as messages from '../../src/config/messages.ts';
import { bytesInWords, countInWords, numbered } from '../../src/config/units.ts';

/** One of each; a message without a sample fails the first test. */
const SAMPLES: Record<keyof typeof messages, UserMessage> = {
  noWebGpu: messages.noWebGpu(),
  noAdapter: messages.noAdapter(),
  adapterRefused: messages.adapterRefused('NVIDIA Ampere', ''),
  outOfMemory: messages.outOfMemory({ purpose: 'training with 4 rows of 1,024 tokens', needed: 3.2e9, inUse: 1.1e9, fits: { batchSize: 1, maxLength: 512, bytes: 1.4e9 } }),
  deviceLost: messages.deviceLost(''),
  deviceLostInRun: messages.deviceLostInRun(37, 30, 'The driver was reset.'),
  quotaTooSmall: messages.quotaTooSmall('rows.jsonl', 2.5e9, 1.2e9),
  storageFull: messages.storageFull('the checkpoint of step 40'),
  storageBlocked: messages.storageBlocked(),
  storageHeld: messages.storageHeld(),
  runInOtherTab: messages.runInOtherTab('alpaca, rank 16'),
  noChatTemplate: messages.noChatTemplate('SmolLM2-135M'),
  notFiniteWeights: messages.notFiniteWeights('model.norm.weight', 12345),
  lossNotFinite: messages.lossNotFinite(37),
  lossDiverging: messages.lossDiverging(5.01, 2.3),
  gradientRising: messages.gradientRising(0.51, 3.2),
  validationRising: messages.validationRising(120),
  lossNearZero: messages.lossNearZero(9, 180),
  noGradient: messages.noGradient(20),
  shareRefused: messages.shareRefused(['lora.r: 999. A whole number from 1 to 256.', 'onload: unknown setting']),
};

describe('every message', () => {
  it('has a sample here, and a code of its own', () => {
    expect(Object.keys(SAMPLES).sort()).toEqual(Object.keys(messages).sort());
    const codes = Object.values(SAMPLES).map((m) => m.code);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it.each(Object.entries(SAMPLES))('%s says what happened and what to do, in the studio’s voice', (_, message) => {
    expect(message.code).toMatch(/^[a-z]+\.[a-zA-Z]+$/);
    expect(message.what.length).toBeGreaterThan(20);
    expect(message.nextStep).toMatch(/\.$/);
    for (const text of [message.what, message.expected, message.likelyCause, message.nextStep]) {
      if (text === undefined) continue;
      expect(text).not.toMatch(/!|oops|sorry|please|undefined|NaN|null|\[object/i);
      expect(text).toMatch(/^[A-Z0-9\p{L}]/u);
    }
  });

  it('survives being thrown', () => {
    for (const message of Object.values(SAMPLES)) expect(toUserMessage(new EtudeError(message))).toBe(message);
  });
});

describe('the numbers in messages', () => {
  it('a loss that is not a number names the step and the weights that are kept', () => {
    expect(messages.lossNotFinite(37).what).toBe('Training stopped at step 37: the loss is not a number. The last good weights, step 36, are kept.');
    expect(messages.lossNotFinite(1).what).toContain('the adapter is as it began');
  });

  it('out of memory says what it takes and what would fit', () => {
    expect(SAMPLES.outOfMemory.what).toBe('The GPU has no room for training with 4 rows of 1,024 tokens: it takes 3.20 GB, and 1.10 GB were in use.');
    expect(SAMPLES.outOfMemory.nextStep).toBe('Set batch size 1 and maximum length 512: that takes about 1.40 GB.');
    expect(messages.outOfMemory({ purpose: 'the weights', needed: 9e9, fits: null }).nextStep).toContain('smaller model');
  });

  it('a page over plain http is told so', () => {
    expect(messages.noWebGpu({ secure: false }).nextStep).toContain('https://');
    expect(messages.noWebGpu().expected).toContain('Chrome');
    expect(messages.noWebGpu().nextStep).toContain('--enable-unsafe-webgpu');
  });

  it('a device lost in a run says which checkpoint is kept', () => {
    expect(SAMPLES.deviceLostInRun.what).toContain('step 37');
    expect(SAMPLES.deviceLostInRun.what).toContain('checkpoint of step 30 is kept');
    expect(messages.deviceLostInRun(3, null, '').what).toContain('No checkpoint had been saved');
  });

  it('bytes, counts and plurals', () => {
    expect([0, 999, 1000, 860_000, 999_600, 19_600_000, 1_190_000_000, 12_345_000_000].map(bytesInWords))
      .toEqual(['0 bytes', '999 bytes', '1.00 kB', '860 kB', '1.00 MB', '19.6 MB', '1.19 GB', '12.3 GB']);
    expect(countInWords(1234567)).toBe('1,234,567');
    expect([numbered(1, 'row'), numbered(2000, 'row')]).toEqual(['1 row', '2,000 rows']);
  });
});
