/** Owns which files of a dataset repository are meant by a config and a split, and what is said where that is not clear. */
import { EtudeError } from '../config/errors.ts';
import type { DatasetLayout } from './datasetFiles.ts';
import type { HubTreeFile } from './hubClient.ts';

export interface AskedSplit { config?: string | undefined; split?: string | undefined }
export interface ChosenSplit { config: string; split: string; files: HubTreeFile[] }
export interface SplitsOf { repo: string; commit: string; layout: DatasetLayout }

/** The name under which a split is imported. */
export const splitTitle = ({ repo, config, split }: { repo: string; config: string; split: string }): string => `${repo} ${config === 'default' ? '' : `${config} `}${split}`;

/** 'en: train, test; de: train'. */
export const splitsInWords = ({ configs }: DatasetLayout): string => configs.map(({ name, splits }) => `${name}: ${splits.map((split) => split.name).join(', ')}`).join('; ');

/** What is not asked for is the first. Throws EtudeError 'hub.noData', 'hub.noSplit'. */
export function chooseSplit(of: SplitsOf, asked: AskedSplit): ChosenSplit {
  const { repo, commit, layout } = of;
  if (layout.configs.length === 0) throw noData(of);
  const config = asked.config === undefined ? layout.configs[0] : layout.configs.find(({ name }) => name === asked.config);
  const split = asked.split === undefined ? config?.splits[0] : config?.splits.find(({ name }) => name === asked.split);
  if (config && split) return { config: config.name, split: split.name, files: split.files };
  throw new EtudeError({
    code: 'hub.noSplit', what: `${repo} has no ${[!config && `config ${asked.config}`, asked.split !== undefined && `split ${asked.split}`].filter(Boolean).join(', ')}${config && asked.config !== undefined ? ` of ${asked.config}` : ''} at ${commit.slice(0, 7)}.`,
    expected: `One of ${splitsInWords(layout)}.`,
    likelyCause: 'The name is mistyped, or the repository was changed since it was noted.', nextStep: 'Choose one of these.',
  });
}

export function noData({ repo, layout }: Pick<SplitsOf, 'repo' | 'layout'>): EtudeError {
  return new EtudeError({
    code: 'hub.noData', what: `${repo} cannot be read. ${layout.because}`, expected: 'JSON, JSON Lines, CSV, TSV or Parquet files, packed by gzip or not.',
    likelyCause: 'Its rows lie in an archive, or are made by a script.',
    nextStep: `Try ${repo}@refs/convert/parquet: there the hub keeps many datasets as Parquet.`,
  });
}
