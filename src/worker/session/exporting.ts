/**
 * Owns a download from the adapter in memory to checked bytes: the zip is unpacked again, every tensor compared, and the
 * adapter that was read back must give the logits of the one in memory.
 */
import type { Recipe } from '../../config/recipe.ts';
import { shareLink } from '../../config/shareUrl.ts';
import { ADAPTER_WEIGHTS, buildAdapterFiles, convertedFileName, exportFileName, verifyAdapterFiles } from '../../export/adapterZip.ts';
import { adapterTargets, type AdapterState } from '../../formats/peftAdapter.ts';
import { unzipFiles, zipFiles } from '../../formats/zip.ts';
import { batchLogits } from '../../model/inference.ts';
import { LoraAdapter } from '../../model/lora.ts';
import type { ExportCheck, StepMetrics } from '../protocol.ts';
import type { LoadedModel } from './loadedModel.ts';
import { stateOf } from './tuned.ts';

export interface BuiltExport {
  files: Map<string, Uint8Array>;
  zip: Uint8Array<ArrayBuffer>;
  fileName: string;
  checks: ExportCheck[];
  ok: boolean;
}

export interface ExportInput {
  model: LoadedModel;
  adapter: LoraAdapter;
  /** Null for an adapter made elsewhere, which is then only converted. */
  recipe: Recipe | null;
  /** Of an adapter made elsewhere: the name it came under, and the base its config names. */
  imported: { name: string; base: string | null } | null;
  metrics: readonly StepMetrics[];
  /** A question to show in the README. */
  question: string;
  pageUrl: string | null;
}

/** Tokens of the text whose logits are compared. */
const CHECK_TOKENS = 64;

export async function buildExport(input: ExportInput): Promise<BuiltExport> {
  const { model, adapter, recipe, question } = input;
  const state = await stateOf(adapter, baseOf(input));
  const prompt = recipe && model.encoder(recipe.data.template, null).prompt([{ role: 'user', content: question }]);
  const files = buildAdapterFiles({
    state, recipe, metrics: input.metrics,
    prompt: prompt && { question, rendered: prompt.text, stopIds: prompt.stopIds },
    shareLink: input.pageUrl === null || recipe === null ? null : shareLink(input.pageUrl, recipe),
  });
  const zip = zipFiles(files);
  const fileName = recipe ? exportFileName(recipe) : convertedFileName(input.imported?.name ?? 'adapter', state.r);
  const verified = await verifyAdapterFiles(unzipFiles(zip, fileName, () => true), state, recipe, { modules: model.loraModules });
  const checks: ExportCheck[] = [...verified.checks];
  let { ok } = verified;
  if (verified.state) {
    const difference = await logitsDifference(model, adapter, verified.state, (prompt?.ids ?? model.tokenizer.encode(question)).slice(0, CHECK_TOKENS));
    const same = difference === 0;
    ok &&= same;
    const at = checks.findIndex((c) => c.file === ADAPTER_WEIGHTS);
    const said = `${same ? 'Same logits as the model you tried' : 'Other logits than the model you tried'}: largest difference ${difference}.`;
    checks[at] = { ...checks[at]!, ok: checks[at]!.ok && same, detail: `${said} ${checks[at]!.detail}` };
  }
  return { files, zip, fileName, checks, ok };
}

/** The base as the files will name it: as trained on, or as the imported config had it. */
function baseOf({ model, recipe, imported }: ExportInput): { name: string; revision: string | null } {
  if (recipe) return { name: recipe.model.name, revision: recipe.model.revision ?? null };
  if (imported?.base) return { name: imported.base, revision: null };
  return { name: model.summary.name, revision: model.summary.revision };
}

/** Largest difference of logits between the adapter in memory and one read back, over the tokens of a prompt. */
export async function logitsDifference(model: LoadedModel, adapter: LoraAdapter, state: AdapterState, ids: readonly number[]): Promise<number> {
  const back = new LoraAdapter(model.gpu.engine, model.config, adapter.config, adapterTargets(state));
  try {
    back.load(state.tensors);
    const n = ids.length;
    const batch = { shape: [1, n] as [number, number], inputIds: Int32Array.from(ids), labels: new Int32Array(n).fill(-100), positions: Int32Array.from(ids, (_, i) => i), segments: new Int32Array(n).fill(1) };
    const [a, b] = [await batchLogits(model.gpu, adapter, batch), await batchLogits(model.gpu, back, batch)];
    return a.logits.reduce((max, value, i) => Math.max(max, Math.abs(value - b.logits[i]!)), 0);
  } finally {
    back.destroy();
  }
}
