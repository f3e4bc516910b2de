/**
 * Owns the messages between the page and the worker. Rows and weights never cross; commands, events,
 * finished files and small samples for display do.
 */
import type { TrainingMix } from '../config/balance.ts';
import type { UserMessage } from '../config/errors.ts';
import type { Quantization, Recipe, RecomputePolicy } from '../config/recipe.ts';
import type {
  DataReport, DatasetSummary, DisplayRow, FindingKind, FixSummary, InspectedRow, Mapping, Message, TemplateId,
} from '../data/types.ts';
import type { HubDataRequests } from './protocolHub.ts';
import type { RowRequests, ViewEvent } from './protocolRows.ts';

export type { EditSummary, QualityPart, RowRequests, RowView, SplitChoice, SplitSummary, ViewEvent, ViewRow, ViewSummary } from './protocolRows.ts';
export type { TaskType } from '../data/taskTypes.ts';
export type { HubDataset, HubSplit } from './protocolHub.ts';
export type { MixGroup, TrainingMix } from '../config/balance.ts';
export type {
  DataAdvice, DataReport, DatasetSummary, DisplayRow, Finding, FindingKind, FixSummary, InspectedRow, InspectedToken, InspectedTurn, SkippedLine,
} from '../data/types.ts';

export interface DeviceInfo {
  vendor: string;
  architecture: string;
  description: string;
  /** True on SwiftShader, lavapipe and other software adapters. */
  software: boolean;
  f16: boolean;
  subgroups: boolean;
  maxBufferSize: number;
  /** Bytes that a run may take, as far as is known: see MemoryOutlook. */
  memoryBudget: number;
  maxBindingSize: number;
  /** GFLOP/s of a short matmul, null until measured. */
  gflops: number | null;
}

export type ModelSource =
  | { kind: 'builtin' }
  /** Files of one model folder, dropped or picked; read by slices, never copied whole. */
  | { kind: 'folder'; name: string; files: File[] }
  /**
   * A repository of the hub, 'org/name'. `revision` is a branch, tag or commit; without it, main. What is cached is used
   * without a request; the rest is downloaded first (progress in bytes, Cancel keeps what has arrived).
   */
  | { kind: 'hub'; repo: string; revision?: string };

export interface ModelSummary {
  source: 'builtin' | 'folder' | 'hub';
  /** 'org/name' for a model of the hub. */
  name: string;
  /** Commit of a model of the hub, else null. */
  revision: string | null;
  architecture: string;
  parameters: number;
  /** Bytes of weights on the GPU. */
  weightBytes: number;
  /** What the file stores most matrices in. */
  dtype: 'f32' | 'bf16' | 'f16';
  /** How they lie on the GPU: 'none' as stored. */
  quantization: Quantization;
  tiedEmbeddings: boolean;
  hiddenSize: number;
  numHiddenLayers: number;
  vocabSize: number;
  maxPositionEmbeddings: number;
  /** The model has a chat template of its own. */
  hasChatTemplate: boolean;
  /** Control tokens of these templates exist in the vocabulary. */
  knownTemplates: TemplateId[];
}

export type DataSource = { kind: 'builtin' } | { kind: 'file'; file: File };

/** GPU memory of a run at its peak, in bytes, before anything is allocated. */
export interface MemoryOutlook {
  /** Parts of `total`, with the chosen policy. */
  weights: number;
  activations: number;
  /** Gradients on their way. */
  scratch: number;
  logits: number;
  /** Parameters, gradients and both moments. */
  adapter: number;
  /** Answers on the way: key/value cache and their activations. */
  generation: number;
  /** Batches, tables, lists of dispatches, the copy for a checkpoint. */
  other: number;
  total: number;
  /** How much of the forward pass is computed again; with the recipe's 'auto' the first that fits. */
  policy: RecomputePolicy;
  /** Operations of a step beyond keeping everything, as a share: 0.3 is 30 % more. */
  extraFlops: number;
  /** Within the budget. A run may be tried in any case: the budget is an estimate unless a person set it. */
  fits: boolean;
  /** All policies in order; `saved` bytes against the first. */
  policies: { policy: RecomputePolicy; total: number; saved: number; extraFlops: number; fits: boolean }[];
  /** What the device is taken to hold, and a sentence that says why. */
  budget: { bytes: number; basis: 'person' | 'failure' | 'largestBuffer'; words: string };
  /** Where it does not fit: single changes that do, each with its total. */
  smaller: { change: string; bytes: number }[];
}

export interface Forecast {
  trainingRows: number;
  heldOutRows: number;
  droppedRows: number;
  tokensSeen: number;
  labelledTokensSeen: number;
  steps: number;
  stepsPerEpoch: number;
  warmupSteps: number;
  trainableParameters: number;
  modelParameters: number;
  adapterBytes: number;
  memory: MemoryOutlook;
  /** Seconds for the whole run, and where the number comes from; null when nothing was measured yet. */
  seconds: number | null;
  measured: boolean;
  /** How often rows of each task or file are drawn. */
  mix: TrainingMix;
}

export type RunStatus = 'running' | 'paused' | 'stopped' | 'finished' | 'failed' | 'interrupted';

export interface StepMetrics {
  step: number;
  epoch: number;
  loss: number;
  evalLoss?: number;
  learningRate: number;
  gradNorm: number;
  /** Tokens seen so far in the run. */
  numTokens: number;
  tokensPerSecond: number;
}

export interface PromptAnswer {
  step: number;
  promptIndex: number;
  prompt: string;
  answer: string;
}

export interface RunSummary {
  id: string;
  name: string;
  status: RunStatus;
  createdAt: number;
  updatedAt: number;
  recipe: Recipe;
  model: Pick<ModelSummary, 'source' | 'name' | 'architecture'>;
  dataset: Pick<DatasetSummary, 'id' | 'name' | 'rows'>;
  step: number;
  totalSteps: number;
  finalLoss: number | null;
  bestEvalLoss: number | null;
  seconds: number;
  /** A checkpoint exists and its dataset is still stored, so the run can go on. */
  resumable: boolean;
}

export interface RunDetail extends RunSummary {
  /** Tells the rows it trains on from others: their mapping, edits, fixes and switches. Missing in runs of an earlier Etude. */
  rowsKey?: string;
  /** What the backward pass computes again, once the run has begun. */
  recompute?: RecomputePolicy;
  metrics: StepMetrics[];
  answers: PromptAnswer[];
  alerts: UserMessage[];
}

export interface SamplingConfig {
  /** 0 is greedy. */
  temperature: number;
  topK: number;
  topP: number;
  maxNewTokens: number;
  seed: number;
}

/** A prompt the run never trained on, with the answer its row gives. */
export interface HeldOutPrompt {
  /** 0-based row; null when the prompt comes from a held-out file of its own (the built-in dataset). */
  index: number | null;
  prompt: string;
  reference: string;
}

export interface ExportCheck {
  file: string;
  bytes: number;
  ok: boolean;
  /** e.g. "Same logits as the model you tried: largest difference 0". */
  detail: string;
}

export interface ExportResult {
  zip: Blob;
  fileName: string;
  checks: ExportCheck[];
  ok: boolean;
}

/** What a model loses on each token of an inspected row, in nats. */
export interface TokenLosses {
  /** By position; null for the first token, which nothing predicts, and for tokens that are cut off. */
  losses: (number | null)[];
  /** Over the trained tokens, as training counts it; null where none is trained. */
  mean: number | null;
  /** e to the mean. */
  perplexity: number | null;
}

/** Where training puts a row. */
export interface TrainingPlace {
  /** 'unused': left out, or nothing in it is trained. */
  part: 'train' | 'heldOut' | 'unused';
  /** With packing, of a row that is trained: its sequence, the tokens before it there, and the rows beside it (indices, in order, at most 1,000). */
  pack: { number: number; of: number; from: number; tokens: number; capacity: number; rows: number[] } | null;
}

/** Rows of one dataset that ask what another asks: all counted, 1,000 pairs listed. */
export interface OverlapPairs { count: number; rows: number[]; otherRows: number[] }

/** A model the hub's search found. */
export interface HubModel {
  repo: string;
  downloads: number;
  likes: number;
  /** A token of someone who accepted its terms is needed. */
  gated: boolean;
  /** As the hub names it, e.g. 'apache-2.0'; null where it does not say. */
  licence: string | null;
  parameters: number | null;
  architecture: string | null;
  /** Its architecture is one that Etude computes, and its weights are safetensors. */
  supported: boolean;
  /** Why not, in a sentence. */
  reason: string | null;
}

export interface HubFile { path: string; bytes: number; cachedBytes: number }

/** What is known of a model before it is downloaded. */
export interface HubInspection {
  repo: string;
  /** What was asked for ('main' without), and the commit it is now. */
  revision: string;
  commit: string;
  licence: string | null;
  gated: boolean;
  /** The files that will be downloaded. */
  files: HubFile[];
  totalBytes: number;
  cachedBytes: number;
  architecture: string | null;
  parameters: number | null;
  hasTokenizer: boolean;
  /** null where it cannot be known without access. */
  hasChatTemplate: boolean | null;
  /** Bytes on the GPU: weights as stored, and training at batch 1 x 512 with the default adapter; null without a readable config. */
  memory: { weights: number; training: number } | null;
  /** Why it cannot be loaded as things are: gated, unknown architecture, missing file, too little room. */
  problem: UserMessage | null;
}

/** A model, or files of a dataset, that the cache keeps. */
export interface CachedModel {
  kind: 'model' | 'dataset';
  repo: string;
  commit: string;
  /** Branches and tags under which it was asked for. */
  revisions: string[];
  bytes: number;
  totalBytes: number;
  /** Every file is there and checked: loads without a request. */
  complete: boolean;
  /** Milliseconds since 1970. */
  lastUsedAt: number;
}

/** Every request: its arguments and its result. */
export interface Requests extends RowRequests, HubDataRequests {
  /** The page is looked at, or is hidden: decides how long pieces of GPU work may be. */
  'page.watched': { args: { watched: boolean }; result: null };
  'device.open': { args: { measure?: boolean }; result: DeviceInfo };
  /** `quantization` (default 'none') shrinks the frozen weights while they load. */
  'model.load': { args: { source: ModelSource; quantization?: Quantization }; result: ModelSummary };
  /** A person's own limit for the planner, bytes; null goes back to what is known of the device. */
  'device.setMemoryLimit': { args: { bytes: number | null }; result: null };
  'model.unload': { args: Record<string, never>; result: null };
  /** Text models by downloads; those that cannot be run are there with the reason. */
  'hub.search': { args: { query: string; limit: number }; result: HubModel[] };
  'hub.inspect': { args: { repo: string; revision?: string }; result: HubInspection };
  /** Kept in memory until the worker ends; sent to the hub's own host alone. */
  'hub.setToken': { args: { token: string | null }; result: null };
  'cache.list': { args: Record<string, never>; result: CachedModel[] };
  'cache.delete': { args: { repo: string; commit: string; kind?: CachedModel['kind'] }; result: null };
  /** `mapping` is used instead of what is detected (a recipe or share link carries one). */
  'data.import': { args: { source: DataSource; mapping?: Mapping }; result: DatasetSummary };
  /** Several files at once: shards of one set become one dataset, others one each; `join` overrules. All or nothing a dataset. */
  'data.importFiles': { args: { files: File[]; join?: 'auto' | 'one' | 'each'; /** For the dataset that a recipe would call by this name. */ expected?: { name: string; mapping: Mapping } }; result: DatasetSummary[] };
  /** A pasted snippet: JSON, JSON Lines, a table or plain text, by what it holds. */
  'data.importText': { args: { text: string; name?: string }; result: DatasetSummary };
  'data.list': { args: Record<string, never>; result: DatasetSummary[] };
  'data.delete': { args: { datasetId: string }; result: null };
  'data.setMapping': { args: { datasetId: string; mapping: Mapping }; result: DatasetSummary };
  'data.rows': { args: { datasetId: string; offset: number; limit: number }; result: DisplayRow[] };
  /** The answer of a preference pair that is not trained; null for other rows. */
  'data.rejected': { args: { datasetId: string; index: number; mapping?: Mapping }; result: string | null };
  'data.preview': { args: { datasetId: string; index: number; mapping?: Mapping }; result: Message[] };
  /** Needs a loaded model for its tokenizer. `trainedTurns` overrides per message index. */
  'data.inspect': {
    args: { datasetId: string; index: number; template: TemplateId; maxLength: number; trainedTurns?: Record<number, boolean> };
    result: InspectedRow;
  };
  /** Keeps a row's switches in the dataset, so that training masks the row as data.inspect shows it. */
  'data.setTrainedTurns': { args: { datasetId: string; index: number; trainedTurns: Record<number, boolean> }; result: null };
  /** Computed on the GPU, of the row as data.inspect shows it. Refused while a run goes on; 'tuned' needs a tuned adapter. */
  'data.tokenLoss': {
    args: { datasetId: string; index: number; template: TemplateId; maxLength: number; trainedTurns?: Record<number, boolean>; which: 'base' | 'tuned' };
    result: TokenLosses;
  };
  /** Needs the report of the same template and length; reads every row where it is not made yet. */
  'data.trainingPlace': { args: { datasetId: string; index: number; recipe: Recipe }; result: TrainingPlace };
  /** A whole row on or off; off is kept as a fix of the kind 'row-switch', on takes the row out of every fix that leaves it out. */
  'data.setRowTrained': { args: { datasetId: string; index: number; trained: boolean }; result: FixSummary[] };
  'data.report': { args: { datasetId: string; template: TemplateId; maxLength: number }; result: DataReport };
  /** Makes the finding's correction for all of its rows: recorded with the dataset, named in the record of changes, undoable. Gives all fixes in force. */
  'data.applyFix': { args: { datasetId: string; kind: FindingKind; template: TemplateId; maxLength: number }; result: FixSummary[] };
  /** Takes a fix back; without an id the last one. */
  'data.undoFix': { args: { datasetId: string; fixId?: string }; result: FixSummary[] };
  'data.fixes': { args: { datasetId: string }; result: FixSummary[] };
  /**
   * Rows whose prompt another dataset (a test file) has too: the same but for case and spacing, and in `near` nearly the same, those that
   * are the same left aside. `partial`: too many candidates, not all were compared.
   */
  'data.overlap': { args: { datasetId: string; otherId: string }; result: OverlapPairs & { near: OverlapPairs; partial: boolean } };
  /** Leaves all of those rows out of training, as a fix; `near` also those that are nearly the same. */
  'data.leaveOutOverlap': { args: { datasetId: string; otherId: string; near: boolean }; result: FixSummary[] };
  /** Every row that was dropped, cut or changed, by line, as a file. With a template (and a loaded model) also what training drops and cuts, with a recipe what its balance does. */
  'data.changes': {
    args: { datasetId: string; format: 'text' | 'json'; template?: TemplateId; maxLength?: number; recipe?: Recipe };
    result: { fileName: string; blob: Blob; entries: number };
  };
  'train.forecast': { args: { datasetId: string; recipe: Recipe }; result: Forecast };
  /** Resolves when the run ends, is stopped, or fails; progress comes as events. `fromTuned` goes on from the tuned adapter's weights; its rank and layers win over the recipe's. */
  'train.start': { args: { datasetId: string; recipe: Recipe; name?: string; fromTuned?: boolean }; result: RunSummary };
  'train.resume': { args: { runId: string }; result: RunSummary };
  'train.pause': { args: Record<string, never>; result: null };
  'train.continue': { args: Record<string, never>; result: null };
  'train.stop': { args: Record<string, never>; result: null };
  'runs.list': { args: Record<string, never>; result: RunSummary[] };
  'runs.get': { args: { runId: string }; result: RunDetail };
  'runs.rename': { args: { runId: string; name: string }; result: RunSummary };
  'runs.delete': { args: { runId: string }; result: null };
  /** Makes a finished or stopped run's adapter the tuned model of Try and Export. */
  'runs.open': { args: { runId: string }; result: RunDetail };
  /** Streams 'chat.token' events under `streamId`; the result is the whole answer. */
  'chat.generate': {
    args: { streamId: string; messages: Message[]; template: TemplateId; which: 'base' | 'tuned'; sampling: SamplingConfig };
    result: { text: string; tokens: number; tokensPerSecond: number; stoppedBy: 'eos' | 'length' | 'user' };
  };
  'chat.stop': { args: { streamId: string }; result: null };
  'chat.heldOutPrompts': { args: { datasetId: string; limit: number }; result: HeldOutPrompt[] };
  'export.build': { args: Record<string, never>; result: ExportResult };
  /** Loads a PEFT adapter folder or zip onto the loaded model. */
  'adapter.import': { args: { name: string; files: File[] }; result: { name: string; r: number; targetModules: string[]; /** The base its config names; it may be another than the loaded one. */ base: string | null } };
  'storage.info': { args: Record<string, never>; result: { usage: number; quota: number; persisted: boolean } };
  /** Cancels a running 'model.load', 'data.import' or 'data.report' request by its id. */
  cancel: { args: { requestId: number }; result: null };
}

export type RequestName = keyof Requests;

export type ToWorker = {
  [N in RequestName]: { id: number; name: N; args: Requests[N]['args'] };
}[RequestName];

export type WorkerEvent =
  | { type: 'progress'; requestId: number; label: string; done: number; total: number | null; unit: 'bytes' | 'rows' | 'tensors' }
  | { type: 'train.started'; run: RunSummary }
  | { type: 'train.step'; runId: string; metrics: StepMetrics; totalSteps: number; elapsedSeconds: number; secondsLeft: number | null }
  | { type: 'train.eval'; runId: string; step: number; evalLoss: number }
  | { type: 'train.answer'; runId: string; answer: PromptAnswer }
  | { type: 'train.alert'; runId: string; alert: UserMessage; step: number }
  | { type: 'train.checkpoint'; runId: string; step: number }
  | { type: 'train.status'; runId: string; status: RunStatus; message?: UserMessage }
  | ViewEvent
  | { type: 'chat.token'; streamId: string; text: string }
  /** The loaded model had to make room for one that is being loaded. */
  | { type: 'model.unloaded' }
  | { type: 'device.lost'; message: UserMessage };

export type FromWorker =
  | { kind: 'result'; id: number; result: unknown }
  | { kind: 'error'; id: number; error: UserMessage }
  | { kind: 'event'; event: WorkerEvent };
