import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CURATED_MODELS } from '../../src/config/curatedModels.ts';
import { modelsTable } from '../../scripts/modelsTable.ts';

const written = readFileSync(new URL('../../docs/models.md', import.meta.url), 'utf8');

it('docs/models.md is what its script writes', () => {
  expect(written).toBe(modelsTable());
});

it('docs/models.md has every model of the list, with parameters equal to the publisher’s', () => {
  for (const { repo } of CURATED_MODELS) expect(written).toContain(`\`${repo}\``);
  expect(written).not.toMatch(/differs from|shapes not at hand/);
});
