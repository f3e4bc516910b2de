import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sourceFromBytes, type ByteSource } from '../../src/formats/byteSource.ts';
import { unzipFiles, zipFiles } from '../../src/formats/zip.ts';
import { openAdapterFolder } from '../../src/hub/adapterFolder.ts';

const FOLDER = new URL('../fixtures/peft/full_paths_rslora/', import.meta.url);
const bytes = (file: string) => new Uint8Array(readFileSync(new URL(file, FOLDER)));
const FILES = new Map(['adapter_config.json', 'adapter_model.safetensors'].map((name) => [name, bytes(name)]));
const sources = (files: Map<string, Uint8Array>): Map<string, ByteSource> => new Map([...files].map(([name, content]) => [name, sourceFromBytes(content, name)]));
const zipped = (files: Map<string, Uint8Array>) => sources(new Map([['adapter.zip', zipFiles(files)]]));

describe('an adapter', () => {
  it('opens from a folder, from a folder in a folder, and from a zip of either', async () => {
    const nested = new Map([...FILES].map(([name, content]) => [`runs/last/${name}`, content]));
    const states = await Promise.all([sources(FILES), sources(nested), zipped(FILES), zipped(nested)].map((files) => openAdapterFolder('a', files)));
    for (const state of states) expect(state).toEqual(states[0]);
    expect(states[0]!.r).toBe(6);
  });

  it('without one of its files is refused by name', async () => {
    const only = (name: string) => new Map([[name, FILES.get(name)!]]);
    await expect(openAdapterFolder('mine', sources(only('adapter_config.json')))).rejects.toThrow('mine has no adapter_model.safetensors');
    await expect(openAdapterFolder('mine', sources(only('adapter_model.safetensors')))).rejects.toThrow('mine has no adapter_config.json');
    await expect(openAdapterFolder('mine', zipped(new Map([['readme.txt', new Uint8Array(3)]])))).rejects.toThrow('mine has no adapter_config.json');
    const older = sources(new Map([...only('adapter_config.json'), ['adapter_model.bin', new Uint8Array(1)]]));
    await expect(openAdapterFolder('mine', older)).rejects.toMatchObject({ userMessage: { likelyCause: expect.stringContaining('adapter_model.bin') } });
  });

  it('in a damaged zip is refused in words', async () => {
    const whole = zipFiles(FILES);
    for (const broken of [whole.subarray(0, whole.length - 30), new Uint8Array(0), new Uint8Array(100)]) {
      await expect(openAdapterFolder('a', sources(new Map([['a.zip', broken]])))).rejects.toMatchObject({ userMessage: { code: 'zip.damaged' } });
    }
  });
});

describe('a zip', () => {
  it('holds the same bytes for the same files', () => {
    expect(Buffer.compare(zipFiles(FILES), zipFiles(FILES))).toBe(0);
  });

  it('gives back its files, and only those wanted', () => {
    const back = unzipFiles(zipFiles(FILES), 'a.zip', (path) => path.endsWith('.json'));
    expect([...back.keys()]).toEqual(['adapter_config.json']);
    expect(Buffer.compare(back.get('adapter_config.json')!, FILES.get('adapter_config.json')!)).toBe(0);
  });

  it('that would unpack to too much is refused before it is unpacked', () => {
    const bomb = zipFiles(new Map([['adapter_config.json', new Uint8Array(1_000_000)]]));
    expect(bomb.length).toBeLessThan(5000);
    expect(() => unzipFiles(bomb, 'bomb.zip', () => true, 999_999)).toThrow('would unpack to 1000000 bytes');
  });

  it('that lies about the size of its files yields no more bytes than it declared', () => {
    const bomb = zipFiles(new Map([['a.json', new Uint8Array(1_000_000)]]));
    const view = new DataView(bomb.buffer);
    for (let i = 0; i + 28 < bomb.length; i++) {
      if (view.getUint32(i, true) === 0x02014b50) view.setUint32(i + 24, 10, true);
    }
    let size = 0;
    try {
      size = unzipFiles(bomb, 'bomb.zip', () => true, 999_999).get('a.json')!.length;
    } catch (error) {
      expect(error).toMatchObject({ userMessage: { code: 'zip.damaged' } });
    }
    expect(size).toBeLessThanOrEqual(10);
  });
});
