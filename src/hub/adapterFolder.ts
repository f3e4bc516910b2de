/** Owns where an adapter's two files are found: in a folder, or in a zip such as Etude writes. */
import { EtudeError } from '../config/errors.ts';
import { readJson, sourceFromBytes, type ByteSource } from '../formats/byteSource.ts';
import { readPeftAdapter, type AdapterState, type BaseModel } from '../formats/peftAdapter.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { unzipFiles } from '../formats/zip.ts';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';

/** `files` by path or bare name: both files, or one zip that holds them. `base` as for readPeftAdapter. */
export async function openAdapterFolder(name: string, files: ReadonlyMap<string, ByteSource>, base?: BaseModel): Promise<AdapterState> {
  const config = find(files, CONFIG);
  const zip = [...files].find(([path]) => path.endsWith('.zip'))?.[1];
  if (!config && zip) return openAdapterFolder(name, await unpack(zip), base);
  const weights = find(files, WEIGHTS);
  if (!config || !weights) throw missing(name, files, config ? WEIGHTS : CONFIG);
  return readPeftAdapter(await readJson(config), await openSafetensors(weights), base);
}

async function unpack(zip: ByteSource): Promise<Map<string, ByteSource>> {
  const wanted = (path: string) => path === CONFIG || path === WEIGHTS || path.endsWith(`/${CONFIG}`) || path.endsWith(`/${WEIGHTS}`);
  const unpacked = unzipFiles(await zip.read(0, zip.size), zip.name, wanted);
  return new Map([...unpacked].map(([path, bytes]) => [path, sourceFromBytes(bytes, path)]));
}

/** The file of this name nearest the top. */
const find = (files: ReadonlyMap<string, ByteSource>, name: string): ByteSource | undefined =>
  [...files].filter(([path]) => path === name || path.endsWith(`/${name}`)).sort(([a], [b]) => a.length - b.length)[0]?.[1];

function missing(name: string, files: ReadonlyMap<string, ByteSource>, file: string): EtudeError {
  const older = [...files.keys()].some((path) => path.endsWith('adapter_model.bin'));
  return new EtudeError({
    code: 'adapter.missingFile',
    what: `${name} has no ${file}.`,
    expected: `An adapter folder, or its zip, with ${CONFIG} and ${WEIGHTS}.`,
    likelyCause: older ? 'The adapter is stored in the older form adapter_model.bin.' : 'Only some files were selected, or this is no adapter.',
    nextStep: older ? 'Load and save it once with a present PEFT, which writes safetensors.' : 'Choose the whole adapter folder.',
  });
}
