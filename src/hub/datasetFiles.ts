/**
 * Owns which files of a dataset repository are its rows, and how they fall into configs and splits: by the list in its card
 * where there is one, else by their names, as the hub's own loader reads them. Refuses to know what the rows are.
 * Conventions: https://huggingface.co/docs/hub/datasets-file-names-and-splits
 */
import type { HubTreeFile } from './hubClient.ts';

export interface DataSplit { name: string; files: HubTreeFile[] }
export interface DataConfig { name: string; splits: DataSplit[] }

export interface DatasetLayout {
  /** The one to take without a choice comes first; so does its split. */
  configs: DataConfig[];
  /** The card, or a name, says that the first config is the one to take; a single one is. */
  hasDefault: boolean;
  /** What decided, in words. */
  because: string;
}

/** Families of formats; a repository that has several is read in the one that most of its files have. */
const FAMILIES: [name: string, test: RegExp][] = [
  ['JSON', /\.(?:jsonl|ndjson|json)(?:\.gz)?$/i],
  ['CSV', /\.(?:csv|tsv)(?:\.gz)?$/i],
  ['Parquet', /\.parquet(?:\.gz)?$/i],
];
/** Files of settings that end like data. */
const NO_DATA = /(?:^|\/)(?:\.[^/]*|dataset_infos?\.json|dataset_dict\.json|state\.json|config\.json|croissant\.json|package(?:-lock)?\.json|tokenizer[^/]*\.json|special_tokens_map\.json)$/i;
const HIDDEN = /(?:^|\/)\./;

const SPLIT_WORDS: Record<string, string> = {
  train: 'train', training: 'train', validation: 'validation', valid: 'validation', val: 'validation', dev: 'validation',
  test: 'test', testing: 'test', eval: 'test', evaluation: 'test',
};
const ORDER = ['train', 'validation', 'test'];
const OTHER = 'other files';
/** data/first_half-00000-of-00003.parquet: a split of any name. */
const SHARD = /^(.+?)-\d{3,}-of-\d{3,}(?:-[0-9a-f]{6,})?\./;

/** @param card parsed front matter of the README, or null */
export function layoutOf(tree: readonly HubTreeFile[], card: unknown): DatasetLayout {
  const data = tree.filter(({ path }) => !NO_DATA.test(path) && !HIDDEN.test(path) && FAMILIES.some(([, test]) => test.test(path)));
  const { configs: named, hasDefault } = configsOfCard(data, card);
  if (named.length > 0) return { configs: named, hasDefault, because: 'The dataset’s card says which files belong together.' };
  const { files, family, aside } = commonest(data);
  if (files.length === 0) return { configs: [], hasDefault: false, because: 'It holds no JSON, CSV or Parquet files.' };
  const left = aside === 0 ? '' : ` ${aside === 1 ? '1 file of another format is' : `${aside} files of other formats are`} left aside.`;
  return { configs: [{ name: 'default', splits: splitsByName(files) }], hasDefault: true, because: `Divided by the names of its ${family} files.${left}` };
}

function commonest(data: readonly HubTreeFile[]): { files: HubTreeFile[]; family: string; aside: number } {
  const families = FAMILIES.map(([family, test]) => ({ family, files: data.filter(({ path }) => test.test(path)) }));
  const most = families.reduce((best, next) => (next.files.length > best.files.length ? next : best));
  return { ...most, aside: data.length - most.files.length };
}

const byPath = (a: HubTreeFile, b: HubTreeFile): number => a.path.localeCompare(b.path, 'en', { numeric: true });
const placeOf = (name: string): number => (ORDER.includes(name) ? ORDER.indexOf(name) : name === OTHER ? ORDER.length + 1 : ORDER.length);

function splitsByName(files: readonly HubTreeFile[]): DataSplit[] {
  const found = new Map<string, HubTreeFile[]>();
  for (const file of [...files].sort(byPath)) {
    const name = splitOf(file.path) ?? OTHER;
    found.set(name, [...found.get(name) ?? [], file]);
  }
  // Without a word for a split in any name, all of it is what there is to train on.
  const other = found.get(OTHER);
  if (other && found.size === 1) return [{ name: 'train', files: other }];
  return [...found].map(([name, list]) => ({ name, files: list })).sort((a, b) => placeOf(a.name) - placeOf(b.name));
}

function splitOf(path: string): string | null {
  const parts = path.split('/');
  const file = parts.pop()!;
  const shard = SHARD.exec(file)?.[1];
  const word = wordIn(shard ?? file.replace(/\.[^/]*$/, ''));
  if (word) return word;
  if (shard !== undefined && parts.at(-1) === 'data') return shard;
  for (const folder of parts.reverse()) {
    const inFolder = wordIn(folder);
    if (inFolder) return inFolder;
  }
  return null;
}

/** 'my-train_v2' holds the word train, 'training' is one, 'constraint' holds none. */
function wordIn(name: string): string | null {
  const words = name.toLowerCase().split(/[^a-z]+/);
  return words.map((word) => (Object.hasOwn(SPLIT_WORDS, word) ? SPLIT_WORDS[word]! : null)).find((split) => split !== null) ?? null;
}

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const texts = (value: unknown): string[] => (typeof value === 'string' ? [value] : Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []);
const NAME = /^[\w .+-]{1,80}$/;
const named = (value: unknown, otherwise: string): string => (typeof value === 'string' && NAME.test(value) ? value : otherwise);

function configsOfCard(data: readonly HubTreeFile[], card: unknown): Pick<DatasetLayout, 'configs' | 'hasDefault'> {
  const configs = isObject(card) && Array.isArray(card['configs']) ? card['configs'].filter(isObject) : [];
  const read = configs.map((config) => ({ config, name: named(config['config_name'], 'default'), splits: splitsOfConfig(data, config) })).filter(({ splits }) => splits.length > 0);
  const first = read.find(({ config }) => config['default'] === true) ?? read.find(({ name }) => name === 'default');
  const sorted = read.sort((a, b) => Number(b === first) - Number(a === first)).map(({ name, splits }) => ({ name, splits }));
  return { configs: sorted, hasDefault: first !== undefined || read.length === 1 };
}

function splitsOfConfig(data: readonly HubTreeFile[], config: Json): DataSplit[] {
  const folder = typeof config['data_dir'] === 'string' ? `${config['data_dir'].replace(/^\.?\/+|\/+$/g, '')}/` : '';
  const inFolder = data.filter(({ path }) => path.startsWith(folder));
  const files = config['data_files'];
  if (files === undefined) return folder === '' ? [] : splitsByName(inFolder);
  const given: [name: string, patterns: string[]][] = texts(files).length > 0
    ? [['train', texts(files)]]
    : Array.isArray(files)
      ? files.filter(isObject).map((one) => [named(one['split'], 'train'), texts(one['path'])])
      : isObject(files) ? Object.entries(files).map(([name, patterns]) => [named(name, 'train'), texts(patterns)]) : [];
  const splits = given.map(([name, patterns]) => ({ name, files: inFolder.filter(({ path }) => patterns.some((pattern) => matches(folder + pattern, path))).sort(byPath) }));
  return splits.filter((split) => split.files.length > 0).sort((a, b) => placeOf(a.name) - placeOf(b.name));
}

const MOST_STARS = 6;

/** A path pattern of the card: * within a folder, ** across folders. */
function matches(pattern: string, path: string): boolean {
  // A card is anyone's: more stars than a real one has could take long to compare.
  if (pattern.length > 300 || pattern.split('*').length - 1 > MOST_STARS) return false;
  const plain = pattern.replace(/^(?:hf:\/\/datasets\/[^/]+\/[^/@]+(?:@[^/]+)?\/|\.\/)/, '');
  const source = plain.replaceAll(/\*\*\/|\*\*|\*|\?|[^*?]+/g, (part) => (
    part === '**/' ? '(?:.*/)?' : part === '**' ? '.*' : part === '*' ? '[^/]*' : part === '?' ? '[^/]' : part.replaceAll(/[$()+.[\\\]^{|}]/g, String.raw`\$&`)
  ));
  return new RegExp(`^${source}$`, 'u').test(path);
}
