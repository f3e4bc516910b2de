import { EtudeError } from '../../../src/config/errors.ts';

export function main([how]: string[]): never {
  if (how === 'words') throw new EtudeError({ code: 'test', what: 'It broke.', expected: 'It whole.', likelyCause: 'A stone.', nextStep: 'Mend it.' });
  throw new TypeError('not for a person');
}
