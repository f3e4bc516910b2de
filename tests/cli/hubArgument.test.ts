import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { fetchHubModel, repoOfArgument, revisionFor } from '../../src/cli/hubArgument.ts';
import { cacheFolder } from '../../src/cli/folderDisk.ts';
import { recipeFromArguments } from '../../src/cli/recipeArgument.ts';
import { defaultRecipe } from '../../src/config/recipe.ts';
import { EtudeError } from '../../src/config/errors.ts';
import { HubServer } from '../setup/hubServer.ts';
import { MAIN, modelFiles, OLDER, repo, TOKEN } from '../hub/support.ts';

const folder = mkdtempSync(join(tmpdir(), 'etude-cli-hub-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let hub: HubServer | null = null;
afterEach(() => hub?.close());

describe('--model', () => {
  it('names a model of the hub, unless a folder of that name is there', () => {
    expect(repoOfArgument('org/model', () => false)).toEqual({ repo: 'org/model', revision: 'main' });
    expect(repoOfArgument('org/model@v2', () => false)).toEqual({ repo: 'org/model', revision: 'v2' });
    expect(repoOfArgument('org/model', () => true)).toBeNull();
    for (const path of ['builtin', 'model', './org/model', '../org/model', '/org/model', 'a/b/c']) expect(repoOfArgument(path, () => false), path).toBeNull();
  });

  it('without a revision takes the one a recipe pins for it', () => {
    const recipe = { ...defaultRecipe(), model: { source: 'hub' as const, name: 'org/model', revision: OLDER } };
    expect(revisionFor('org/model', 'org/model', recipe)).toBe(OLDER);
    expect(revisionFor('org/model@main', 'org/model', recipe)).toBeUndefined();
    expect(revisionFor('org/other', 'org/other', recipe)).toBeUndefined();
    expect(recipeFromArguments({ recipe: null, model: 'org/model', data: 'builtin' }).model.source).toBe('folder');
  });

  it('of the hub is downloaded into the cache once, from HF_ENDPOINT with HF_TOKEN, and lies there as a model folder', async () => {
    hub = await HubServer.start({ repos: { 'org/model': repo({ gated: 'auto' }) }, tokens: { [TOKEN]: ['org/model'] } });
    const env = { HF_ENDPOINT: hub.origin, ETUDE_CACHE: folder };
    const refused = await fetchHubModel({ repo: 'org/model', revision: 'main' }, () => {}, env).catch((e: unknown) => e);
    expect(refused).toBeInstanceOf(EtudeError);
    expect((refused as EtudeError).code).toBe('hub.gated');
    const told: [string, number, number | null][] = [];
    const model = await fetchHubModel({ repo: 'org/model', revision: 'main' }, (...progress) => void told.push(progress), { ...env, HF_TOKEN: TOKEN });
    expect(model).toMatchObject({ name: 'org/model', revision: MAIN });
    expect(told.at(-1)![1]).toBe(told.at(-1)![2]);
    for (const name of ['config.json', 'tokenizer.json', 'model-00003-of-00003.safetensors']) {
      expect(readFileSync(join(model.folder, name)).equals(modelFiles().get(name)!), name).toBe(true);
    }
    hub.requests.length = 0;
    expect(await fetchHubModel({ repo: 'org/model', revision: 'main' }, () => {}, env)).toEqual(model);
    expect(hub.requests).toEqual([]);
  });

  it('keeps what it downloads where the platform keeps caches, or where ETUDE_CACHE says', () => {
    expect(cacheFolder({ ETUDE_CACHE: '/there' })).toBe('/there');
    if (process.platform === 'linux') expect(cacheFolder({ XDG_CACHE_HOME: '/caches' })).toBe(join('/caches', 'etude'));
    expect(cacheFolder({})).toMatch(/etude/);
  });
});
