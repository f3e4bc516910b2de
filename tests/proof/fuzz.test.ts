/** The property tests of what strangers send us (files, configs, links), with thirty times as many cases. */
import { beforeAll } from 'vitest';

process.env['ETUDE_FUZZ'] = '30';
beforeAll(() => console.log('Fuzzing at length: thirty times the cases of npm test.'));
await import('../formats/safetensors.test.ts');
await import('../formats/peftAdapter.test.ts');
await import('../config/shareUrl.test.ts');
await import('../model/parseConfig.test.ts');
await import('../hub/loaderFuzz.test.ts');
await import('../data/neverSilent.test.ts');
