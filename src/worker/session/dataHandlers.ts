/** Answers about datasets: bringing them in, looking at rows, what training makes of them. */
import { openBuiltinData } from '../../hub/builtin.ts';
import { toRecipeName } from '../../config/recipe.ts';
import { groupFiles, PASTED_NAME } from '../../data/importers/importFiles.ts';
import type { DataReport, DatasetSummary, HubOrigin, Mapping } from '../../data/types.ts';
import type { Requests } from '../protocol.ts';
import type { RequestContext } from './environment.ts';
import type { HandlersOf } from './handlers.ts';
import { importHub } from './hubData.ts';
import { rowHandlers } from './rowHandlers.ts';
import { tokenLoss } from './rowLoss.ts';
import type { SessionState } from './state.ts';

async function importBlob(state: SessionState, blob: Blob, name: string, kind: DatasetSummary['source'], context: RequestContext, mapping?: Mapping): Promise<DatasetSummary> {
  return (await state.data()).datasets.import({ blob, name, kind }, context, mapping);
}

export interface ImportedParts { name: string; files: readonly { name: string; blob: Blob }[]; hub?: HubOrigin }

export async function importParts(state: SessionState, { name, files, hub }: ImportedParts, context: RequestContext, mapping?: Mapping): Promise<DatasetSummary> {
  return (await state.data()).datasets.import({ name, blob: files[0]!.blob, files, kind: hub ? 'hub' : 'file', ...(hub ? { hub } : {}) }, context, mapping);
}

async function importFiles(state: SessionState, { files, join, expected }: Requests['data.importFiles']['args'], context: RequestContext): Promise<DatasetSummary[]> {
  const { datasets } = await state.data();
  const made: DatasetSummary[] = [];
  for (const { name, files: group } of groupFiles(files, join)) {
    const parts = group.map((file) => ({ name: file.name, blob: file }));
    const mapping = expected && toRecipeName(name) === expected.name ? expected.mapping : undefined;
    made.push(await datasets.import({ name, blob: group[0]!, kind: 'file', files: parts }, context, mapping));
  }
  return made;
}

/** The built-in rows, imported once and then found again. */
export async function importBuiltinData(state: SessionState, context: RequestContext): Promise<DatasetSummary> {
  const { datasets } = await state.data();
  const stored = (await datasets.store.list()).find((d) => d.source === 'builtin');
  if (stored) return stored;
  const source = await openBuiltinData(state.environment.loadBuiltin);
  return datasets.import({ blob: new Blob([await source.read(0, source.size)]), name: 'Built-in questions.jsonl', kind: 'builtin' }, context);
}

export async function report(state: SessionState, { datasetId, template, maxLength }: Requests['data.report']['args'], context: RequestContext): Promise<DataReport> {
  return (await (await state.data()).datasets.report(state.needModel(), datasetId, template, maxLength, context)).report;
}

export const dataHandlers = (state: SessionState): HandlersOf<'data'> => ({
  ...rowHandlers(state),
  'data.import': ({ source, mapping }, context) => (source.kind === 'file' ? importBlob(state, source.file, source.file.name, 'file', context, mapping) : importBuiltinData(state, context)),
  'data.importFiles': (args, context) => importFiles(state, args, context),
  'data.importHub': (args, context) => importHub(state, args, context),
  'data.importText': ({ text, name = PASTED_NAME }, context) => importBlob(state, new Blob([text]), name, 'file', context),
  'data.list': async () => (await state.data()).datasets.store.list(),
  'data.delete': async ({ datasetId }) => {
    const { datasets, tables, runs } = await state.data();
    await runs.refuseIfTrainedOn(datasetId);
    tables.forget(datasetId);
    await datasets.delete(datasetId);
    return null;
  },
  'data.setMapping': async ({ datasetId, mapping }) => (await state.data()).datasets.setMapping(datasetId, mapping),
  'data.rows': async ({ datasetId, offset, limit }) => (await state.data()).datasets.rows(datasetId, offset, limit),
  'data.rejected': async ({ datasetId, index, mapping }) => (await state.data()).datasets.rejected(datasetId, index, mapping),
  'data.preview': async ({ datasetId, index, mapping }) => (await state.data()).datasets.preview(datasetId, index, mapping),
  'data.inspect': async (args) => (await state.data()).datasets.inspect(state.needModel(), args),
  'data.setTrainedTurns': async ({ datasetId, index, trainedTurns }) => (await (await state.data()).datasets.setTrainedTurns(datasetId, index, trainedTurns), null),
  'data.tokenLoss': (args) => tokenLoss(state, args),
  'data.trainingPlace': async (args, context) => (await state.data()).datasets.trainingPlace(state.needModel(), args, context),
  'data.setRowTrained': async (args) => (await state.data()).datasets.setRowTrained(args),
  'data.report': (args, context) => report(state, args, context),
  'data.applyFix': async (args, context) => (await state.data()).datasets.applyFix(state.needModel(), args, context),
  'data.undoFix': async ({ datasetId, fixId }) => (await state.data()).datasets.undoFix(datasetId, fixId),
  'data.fixes': async ({ datasetId }) => (await state.data()).datasets.fixes(datasetId),
  'data.overlap': async ({ datasetId, otherId }, context) => (await state.data()).datasets.overlap(datasetId, otherId, context),
  'data.leaveOutOverlap': async (args, context) => (await state.data()).datasets.leaveOutOverlap(args, context),
  'data.changes': async ({ datasetId, format, template, maxLength, recipe }, context) => {
    const training = template === undefined ? null : { model: state.needModel(), template, maxLength: maxLength ?? null, ...(recipe ? { recipe } : {}) };
    const { datasets, tables } = await state.data();
    return datasets.changes(datasetId, format, training, context, tables.heldOut(datasetId, context));
  },
});
