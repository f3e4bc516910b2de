/** Owns the messages about datasets of the hub. */
import type { UserMessage } from '../config/errors.ts';
import type { DatasetSummary, Mapping } from '../data/types.ts';
import type { HubFile } from './protocol.ts';

export interface HubSplit { name: string; files: HubFile[]; bytes: number; cachedBytes: number }

/** What is known of a dataset before it is downloaded. The config and split to take without a choice come first. */
export interface HubDataset {
  repo: string;
  /** What was asked for ('main' without), and the commit it is now. */
  revision: string;
  commit: string;
  licence: string | null;
  gated: boolean;
  configs: { name: string; splits: HubSplit[] }[];
  /** How its files were divided, in words. */
  because: string;
  /** Why it cannot be taken as things are: gated, no files that are read, too little room. */
  problem: UserMessage | null;
}

export interface HubDataRequests {
  'hub.inspectDataset': { args: { repo: string; revision?: string }; result: HubDataset };
  /**
   * Downloads the files of a split as far as they are not cached (progress in bytes, Cancel keeps what has arrived) and imports
   * them as one dataset, pinned to its commit. With a commit and `paths` that are cached it makes no request.
   */
  'data.importHub': { args: { repo: string; revision?: string; config?: string; split?: string; paths?: string[]; mapping?: Mapping }; result: DatasetSummary };
}
