/**
 * A recipe: everything that decides a run except the data itself. One zod schema a group gives type,
 * default, bounds and help text; the form, the command line and share links all read these tables.
 * Names are PEFT's and TRL's in camelCase.
 */
import { z } from 'zod';
import { mappingSchema } from './mapping.ts';

// zod would try `new Function` for speed, which the page's Content-Security-Policy reports as a violation.
z.config({ jitless: true });

/** Help for one setting: shown in the form. `usual` is the range most runs use. */
export interface SettingHelp {
  label: string;
  help: string;
  unit?: string;
  usual?: [number, number];
  simple?: boolean;
}

const setting = <T extends z.ZodType>(schema: T, help: SettingHelp): T => schema.meta({ setting: help }) as T;
const int = (min: number, max: number) => z.int().min(min).max(max);

export const TARGET_MODULES = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;
export const targetModuleSchema = z.enum(TARGET_MODULES);
export type TargetModule = z.infer<typeof targetModuleSchema>;

export const loraConfigSchema = z.strictObject({
  r: setting(int(1, 256).default(16), {
    label: 'Rank', help: 'Capacity of the adapter. Usually 8 to 32. Doubling it doubles the file.', usual: [8, 32], simple: true,
  }),
  loraAlpha: setting(z.number().positive().max(1024).default(32), {
    label: 'LoRA alpha', help: 'Strength of the adapter: its output is scaled by alpha / rank. Usually twice the rank.', usual: [16, 64],
  }),
  targetModules: setting(z.array(targetModuleSchema).min(1).refine((list) => new Set(list).size === list.length, 'each projection once').default(['q_proj', 'k_proj', 'v_proj', 'o_proj']), {
    label: 'Layers that learn', help: 'Projections that carry an adapter. All seven learn more and cost more memory.',
  }),
  loraDropout: setting(z.number().min(0).max(0.9).default(0.05), {
    label: 'LoRA dropout', help: 'Share of the adapter input dropped at random in training. Helps small sets against learning by heart.', usual: [0, 0.1],
  }),
  useRslora: setting(z.boolean().default(false), {
    label: 'Rank-stabilised scaling', help: 'Scale by alpha / sqrt(rank) instead of alpha / rank; matters at ranks above 64.',
  }),
});
export type LoraConfig = z.infer<typeof loraConfigSchema>;

/** How much of the forward pass is computed again in the backward pass instead of kept. */
export const RECOMPUTE_POLICIES = ['none', 'cheap', 'layers'] as const;
export type RecomputePolicy = (typeof RECOMPUTE_POLICIES)[number];

export const trainingConfigSchema = z.strictObject({
  numTrainEpochs: setting(z.number().positive().max(1000).default(3), {
    label: 'Epochs', help: 'How often each row is seen. Usually 1 to 3. More helps small sets and, past a point, teaches by heart.', unit: 'passes', usual: [1, 3], simple: true,
  }),
  maxSteps: setting(int(0, 1_000_000).default(0), {
    label: 'Maximum steps', help: 'Stops after this many optimizer steps whatever the epochs say. 0 means by epochs.', unit: 'steps',
  }),
  perDeviceTrainBatchSize: setting(int(1, 256).default(4), {
    label: 'Batch size', help: 'Rows computed together. Memory grows with it.', unit: 'rows', usual: [1, 8],
  }),
  gradientCheckpointing: setting(z.enum(['auto', ...RECOMPUTE_POLICIES]).default('auto'), {
    label: 'Recompute', help: 'Computes parts of each layer again instead of keeping them: less memory, same numbers. auto takes the first that fits: none, cheap parts, whole layers.',
  }),
  gradientAccumulationSteps: setting(int(1, 256).default(4), {
    label: 'Gradient accumulation', help: 'Batches added up before each step: a larger batch without the memory.', unit: 'batches', usual: [1, 8],
  }),
  learningRate: setting(z.number().positive().max(1).default(2e-4), {
    label: 'Learning rate', help: 'Size of each correction. Usually 1e-4 to 3e-4 for LoRA. Too high and the loss jumps; too low and little changes.', usual: [1e-4, 3e-4], simple: true,
  }),
  lrSchedulerType: setting(z.enum(['linear', 'cosine', 'constant']).default('linear'), {
    label: 'Schedule', help: 'How the learning rate falls after warm-up.',
  }),
  warmupRatio: setting(z.number().min(0).max(1).default(0.05), {
    label: 'Warm-up', help: 'Share of all steps over which the learning rate rises from 0.', usual: [0, 0.1],
  }),
  warmupSteps: setting(int(0, 1_000_000).nullable().default(null), {
    label: 'Warm-up steps', help: 'If given, used instead of the share.', unit: 'steps',
  }),
  weightDecay: setting(z.number().min(0).max(1).default(0), {
    label: 'Weight decay', help: 'Pulls adapter weights towards 0 at every step.', usual: [0, 0.01],
  }),
  adamBeta1: setting(z.number().min(0).max(0.9999).default(0.9), { label: 'Adam beta 1', help: 'Memory of the mean gradient.' }),
  adamBeta2: setting(z.number().min(0).max(0.99999).default(0.999), { label: 'Adam beta 2', help: 'Memory of the squared gradient.' }),
  adamEpsilon: setting(z.number().positive().max(1e-2).default(1e-8), { label: 'Adam epsilon', help: 'Keeps tiny gradients from exploding.' }),
  maxGradNorm: setting(z.number().min(0).max(1000).default(1), {
    label: 'Gradient clipping', help: 'Gradients longer than this are shortened to it. 0 switches clipping off.', usual: [0.3, 1],
  }),
  seed: setting(int(0, 0xffff_ffff).default(42), { label: 'Seed', help: 'Same seed, same device: the same run, bit for bit.' }),
  shuffle: setting(z.boolean().default(true), { label: 'Shuffle', help: 'Rows in a new random order every epoch. Off keeps the order of the file.' }),
  packing: setting(z.boolean().default(false), {
    label: 'Packing', help: 'Fills each row of a batch with several examples; they never see each other. Faster on short rows; fewer, larger steps.',
  }),
  validationSplit: setting(z.number().min(0).max(0.5).default(0), {
    label: 'Held out', help: 'Share of rows kept for validation; rows with the same prompt stay together.', usual: [0, 0.1],
  }),
  evalSteps: setting(int(0, 1_000_000).default(0), { label: 'Validate every', help: '0 means once an epoch.', unit: 'steps' }),
  loggingSteps: setting(int(1, 1_000_000).default(1), { label: 'Log every', help: 'Steps between two points of the chart.', unit: 'steps' }),
  saveSteps: setting(int(0, 1_000_000).default(0), { label: 'Save every', help: 'Steps between checkpoints. 0 means once an epoch.', unit: 'steps' }),
});
export type TrainingConfig = z.infer<typeof trainingConfigSchema>;

const name = z.string().max(200).regex(/^(?!.*:\/\/)[\p{L}\p{N} ._\-/@+():]*$/u, 'letters, digits and . _ - / @ + ( ) : only, and no address');

/** Groups of rows (tasks, files) in one table of a recipe. */
const MAX_GROUPS = 32;
const GROUP_NAME = 80;
const byGroup = <T extends z.ZodType>(value: T) => z.record(name.min(1).max(GROUP_NAME), value).refine((table) => Object.keys(table).length <= MAX_GROUPS, `at most ${MAX_GROUPS} names`);

/** How rows are drawn: each once an epoch, or by task or file. */
export const BALANCES = ['asItIs', 'balanced', 'temperature', 'own'] as const;

export const TEMPLATE_IDS = ['model', 'chatml', 'llama3', 'alpaca'] as const;
export const dataConfigSchema = z.strictObject({
  template: setting(z.enum(TEMPLATE_IDS).default('model'), {
    label: 'Template', help: "How a conversation becomes text. 'model' is the one the model came with.",
  }),
  maxLength: setting(int(8, 131_072).default(1024), {
    label: 'Maximum length', help: 'Rows are cut here. Memory grows with this value.', unit: 'tokens', usual: [256, 1024], simple: true,
  }),
  balance: setting(z.enum(BALANCES).default('asItIs'), {
    label: 'Balance', help: 'How often each task is seen. As it is: every row once an epoch. Balanced: all tasks alike. Temperature: in between. Own: weights and caps of your own, set on the Data step.',
  }),
  balanceBy: setting(z.enum(['task', 'file']).default('task'), {
    label: 'Balance by', help: 'By what rows ask for, or by the file they came from where several were joined.',
  }),
  balanceTemperature: setting(z.number().min(1).max(100).default(2), {
    label: 'Balance temperature', help: 'Shares follow rows to the power of 1 / temperature: 1 is as it is, a large one is balanced.', usual: [1, 5],
  }),
  balanceRepeats: setting(int(1, 100).default(4), {
    label: 'Most repeats', help: 'Balanced and temperature draw no row more often than this an epoch; a small task is learned by heart otherwise.', unit: 'times', usual: [1, 4],
  }),
  balanceWeights: setting(byGroup(z.number().min(0).max(100)).default({}), {
    label: 'Own weights', help: 'By task or file: how often its rows are seen an epoch. 1 where none is given, 0 leaves them out.',
  }),
  balanceCaps: setting(byGroup(int(0, 10_000_000)).default({}), {
    label: 'Own caps', help: 'By task or file: the most rows of it an epoch. Other rows of it come in the next epoch.', unit: 'rows',
  }),
});
export type DataConfig = z.infer<typeof dataConfigSchema>;

/** Any text as a name a recipe can hold: what the rule above forbids becomes _, and it is cut at 200 characters. */
export const toRecipeName = (text: string): string => text.slice(0, 200).replace(/[^\p{L}\p{N} ._\-/@+():]/gu, '_').replaceAll('://', '_');

/** How a recipe names a split of a dataset of the hub. */
export const recordOfHub = (hub: { repo: string; commit: string; config: string; split: string }, mapping?: Recipe['dataset']['mapping']): Recipe['dataset'] => ({
  source: 'hub', name: toRecipeName(hub.repo), revision: hub.commit, config: toRecipeName(hub.config).slice(0, 80), split: toRecipeName(hub.split).slice(0, 80), ...(mapping ? { mapping } : {}),
});

/** Any text as the name of a group of rows in a recipe's tables. */
export const toGroupName = (text: string): string => toRecipeName(text).slice(0, GROUP_NAME) || '_';

/** How the frozen weights lie on the GPU: as their file stores them, or in 8 or 4 bits. */
export const QUANTIZATIONS = ['none', 'int8', 'nf4'] as const;
export const quantizationSchema = z.enum(QUANTIZATIONS);
export type Quantization = z.infer<typeof quantizationSchema>;

const revision = z.string().max(64).regex(/^[\w.\-/]*$/);

export const recipeSchema = z.strictObject({
  version: z.literal(1).default(1),
  /** Which base model; a folder is only named, since its files stay on the machine. */
  model: z.strictObject({
    source: z.enum(['builtin', 'folder', 'hub']), name, revision: revision.optional(),
    /** Left out: 'none'. */
    quantization: quantizationSchema.optional(),
  })
    .default({ source: 'builtin', name: 'builtin' }),
  /** Which data; a file is only named, a dataset of the hub by commit, config and split. */
  dataset: z.strictObject({
    source: z.enum(['builtin', 'file', 'hub']), name, revision: revision.optional(), config: name.max(80).optional(), split: name.max(80).optional(),
    /** Left out: what is detected. */
    mapping: mappingSchema.optional(),
  }).default({ source: 'builtin', name: 'builtin' }),
  data: dataConfigSchema.prefault({}),
  lora: loraConfigSchema.prefault({}),
  training: trainingConfigSchema.prefault({}),
});
export type Recipe = z.infer<typeof recipeSchema>;

/** The seed's defaults. */
export const defaultRecipe = (): Recipe => recipeSchema.parse({});

/** scaling = alpha / r, or alpha / sqrt(r) with rslora. */
export const loraScaling = (lora: Pick<LoraConfig, 'r' | 'loraAlpha' | 'useRslora'>): number =>
  lora.loraAlpha / (lora.useRslora ? Math.sqrt(lora.r) : lora.r);
