import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { CURATED_MODELS } from '../../src/config/curatedModels.ts';
import { hashOf } from '../../src/hub/fileHash.ts';
import { RangeSet, readJournal } from '../../src/hub/ranges.ts';
import { missingParts, wantedFiles } from '../../src/hub/repoFiles.ts';
import { isRepoName, parseRepoName } from '../../src/hub/repoName.ts';
import { bench, closeAll, MAIN, modelFiles, never, OLDER, refusal, repo } from './support.ts';

afterEach(closeAll);

describe('the hub', () => {
  it('is searched by name; the answer tells downloads, licence, parameters, architecture and what the weights are', async () => {
    const { hub, visit } = await bench({
      repos: {
        'org/model': repo(),
        'org/model-awq': repo({ gated: 'auto', info: { config: { architectures: ['LlamaForCausalLM'], quantization_config: { quant_method: 'awq' } }, tags: ['safetensors'] } }),
        'org/model-gguf': repo({ info: { tags: ['gguf', 'license:mit'] } }),
        'org/other': repo(),
      },
    });
    expect(await visit().search('MODEL', 10, never)).toEqual([
      { repo: 'org/model', downloads: 12, likes: 3, gated: false, licence: 'apache-2.0', architecture: 'LlamaForCausalLM', parameters: 1234, safetensors: true, quantisation: null },
      { repo: 'org/model-awq', downloads: 0, likes: 0, gated: true, licence: null, architecture: 'LlamaForCausalLM', parameters: null, safetensors: true, quantisation: 'awq' },
      { repo: 'org/model-gguf', downloads: 0, likes: 0, gated: false, licence: 'mit', architecture: null, parameters: null, safetensors: false, quantisation: null },
    ]);
    expect(hub.requests).toHaveLength(1);
    expect(hub.requests[0]!.path).toContain('pipeline_tag=text-generation');
  });

  it('lists a repository page by page, each file with its size and checksum', async () => {
    const { visit } = await bench({ pageSize: 3 });
    const { tree, wanted, missing, commit } = await visit().look('org/model', undefined, never);
    expect([commit, missing]).toEqual([MAIN, null]);
    expect(Object.fromEntries(tree.map((f) => [f.path, f.bytes]))).toEqual(Object.fromEntries([...modelFiles()].map(([path, bytes]) => [path, bytes.length])));
    expect(wanted.map((f) => f.path)).toEqual([
      'config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors.index.json', ...[1, 2, 3].map((i) => `model-0000${i}-of-00003.safetensors`),
    ]);
    const shard = wanted.at(-1)!;
    expect(shard.sha256).toBe(createHash('sha256').update(modelFiles().get(shard.path)!).digest('hex'));
  });

  it('names a renamed repository by its present name', async () => {
    const { visit } = await bench({ renamed: { 'old/name': 'org/model' } });
    expect(await visit().look('old/name', 'old', never)).toMatchObject({ repo: 'org/model', commit: OLDER, revision: 'old' });
  });

  it('says which part of a name is wrong: repository, revision, or no name at all', async () => {
    const { visit } = await bench();
    expect((await refusal(visit().look('org/none', undefined, never))).code).toBe('hub.notFound');
    expect((await refusal(visit().look('org/model', 'no-such-branch', never))).code).toBe('hub.noRevision');
    expect((await refusal(visit().look('https://huggingface.co/org/model', undefined, never))).code).toBe('hub.name');
  });

  it('whose answer is no answer of a hub is told apart from one that is not there', async () => {
    const { hub, visit } = await bench();
    hub.faults.push({ match: () => true, times: 1, status: 200 });
    expect((await refusal(visit().look('org/model', undefined, never))).code).toBe('hub.answer');
    hub.faults.push({ match: () => true, times: 1, status: 418 });
    expect((await refusal(visit().look('org/model', undefined, never))).userMessage.what).toContain('418');
  });
});

describe('names of repositories', () => {
  it('are taken as the hub writes them, with or without a revision', () => {
    expect(parseRepoName('org/model')).toEqual({ repo: 'org/model', revision: 'main' });
    expect(parseRepoName('gpt2@v1.0')).toEqual({ repo: 'gpt2', revision: 'v1.0' });
    expect(parseRepoName('org/model@refs/pr/1', MAIN)).toEqual({ repo: 'org/model', revision: MAIN });
  });

  it.each(['', 'a/b/c', '../etc', 'org/..', 'a b/c', 'org/', '/model', 'org//model', 'https://x/y', 'org/model?x', 'org/a--b', 'org/model@', 'org/model@a..b', '.hidden/x'])('%o is none', (name) => {
    expect(() => parseRepoName(name)).toThrow(/is not the name of a repository/);
  });

  it('of the curated list are names, and each is there once', () => {
    const names = CURATED_MODELS.map((m) => m.repo);
    expect(names.filter((name) => !isRepoName(name))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toHaveLength(26);
    // Two bytes a parameter and a tokenizer, but for one base model in f32 and the two Qwen3 that store their head beside the embedding.
    const odd = CURATED_MODELS.filter((m) => m.bytes < 2 * m.parameters * 0.99 || m.bytes > 2 * m.parameters * 1.02 + 4e7).map((m) => m.repo);
    expect(odd).toEqual(['Qwen/Qwen3-0.6B', 'TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T', 'Qwen/Qwen3-1.7B']);
  });
});

describe('files of a repository', () => {
  const tree = (...paths: string[]) => paths.map((path) => ({ path, bytes: 1, oid: '0'.repeat(40), sha256: null }));

  it('that make no model folder are told in words', () => {
    expect(missingParts(tree('adapter_config.json', 'adapter_model.safetensors'))).toContain('adapter');
    expect(missingParts(tree('config.json', 'tokenizer.json', 'model.Q4_K_M.gguf'))).toContain('gguf');
    expect(missingParts(tree('config.json', 'model.safetensors'))).toContain('tokenizer.json');
    expect(missingParts(tree('README.md'))).toContain('config.json');
    expect(missingParts(tree('config.json', 'tokenizer.json', 'model.safetensors'))).toBeNull();
  });

  it('take one weight file before shards, and none from folders inside', () => {
    expect(wantedFiles(tree('sub/config.json', 'config.json', 'model-00001-of-00001.safetensors', 'model.safetensors', 'model.safetensors.index.json', 'consolidated.safetensors')).map((f) => f.path))
      .toEqual(['config.json', 'model.safetensors']);
  });
});

describe('ranges', () => {
  const pieces = fc.array(fc.tuple(fc.nat(60), fc.nat(60)).map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) })), { maxLength: 12 });

  it('know which bytes are there, which are missing, and how far they reach without a gap', () => {
    fc.assert(fc.property(pieces, fc.integer({ min: 1, max: 20 }), (added, longest) => {
      const [set, there] = [new RangeSet(), new Set<number>()];
      for (const { start, end } of added) {
        set.add(start, end);
        for (let i = start; i < end; i++) there.add(i);
      }
      const size = 64;
      expect(set.total).toBe(there.size);
      let prefix = 0;
      while (there.has(prefix)) prefix++;
      expect(set.prefix).toBe(prefix);
      const missing = set.missing(size, longest);
      expect(missing.every((r) => r.end - r.start <= longest && r.end > r.start)).toBe(true);
      expect(missing.flatMap((r) => Array.from({ length: r.end - r.start }, (_, i) => r.start + i)))
        .toEqual(Array.from({ length: size }, (_, i) => i).filter((i) => !there.has(i)));
    }));
  });

  it('are read from a journal whose end is torn at any byte, without a byte that was not written', () => {
    fc.assert(fc.property(pieces, fc.nat(200), (added, cut) => {
      const whole = added.map(({ start, end }) => `${start} ${end}\n`).join('');
      const torn = readJournal(whole.slice(0, cut), 64);
      const all = readJournal(whole, 64);
      expect(torn.total).toBeLessThanOrEqual(all.total);
      const lines = whole.slice(0, cut).split('\n').length - 1;
      const expected = new RangeSet();
      for (const { start, end } of added.slice(0, lines)) expected.add(start, end);
      expect(torn.total).toBe(expected.total);
    }));
  });
});

describe('checksums', () => {
  it('fed in any pieces are git’s and SHA-256', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 70 }), (bytes, step) => {
      const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      for (const file of [{ bytes: bytes.length, oid, sha256: null }, { bytes: bytes.length, oid, sha256 }]) {
        const [hash, other] = [hashOf(file), hashOf(file)];
        for (let at = 0; at < bytes.length; at += step) hash.update(bytes.subarray(at, at + step));
        other.update(Uint8Array.from([...bytes, 0]));
        expect([hash.matches(), other.matches()]).toEqual([true, false]);
      }
    }));
  });
});
