/** Answers about datasets: bringing them in, looking at rows, what training makes of them. */
import { openBuiltinData } from '../../hub/builtin.ts';
import type { DataReport, DatasetSummary } from '../../data/types.ts';
import type { Requests } from '../protocol.ts';
import type { RequestContext } from './environment.ts';
import type { HandlersOf } from './handlers.ts';
import type { SessionState } from './state.ts';

export async function importBlob(state: SessionState, blob: Blob, name: string, kind: DatasetSummary['source'], context: RequestContext): Promise<DatasetSummary> {
  return (await state.data()).datasets.import(blob, name, kind, context);
}

/** The built-in rows, imported once and then found again. */
export async function importBuiltinData(state: SessionState, context: RequestContext): Promise<DatasetSummary> {
  const { datasets } = await state.data();
  const stored = (await datasets.store.list()).find((d) => d.source === 'builtin');
  if (stored) return stored;
  const source = await openBuiltinData(state.environment.loadBuiltin);
  return datasets.import(new Blob([await source.read(0, source.size)]), 'Built-in questions.jsonl', 'builtin', context);
}

export async function report(state: SessionState, { datasetId, template, maxLength }: Requests['data.report']['args'], context: RequestContext): Promise<DataReport> {
  return (await (await state.data()).datasets.report(state.needModel(), datasetId, template, maxLength, context)).report;
}

export const dataHandlers = (state: SessionState): HandlersOf<'data'> => ({
  'data.import': ({ source }, context) => (source.kind === 'file' ? importBlob(state, source.file, source.file.name, 'file', context) : importBuiltinData(state, context)),
  'data.list': async () => (await state.data()).datasets.store.list(),
  'data.delete': async ({ datasetId }) => {
    const { datasets, runs } = await state.data();
    await runs.refuseIfTrainedOn(datasetId);
    await datasets.delete(datasetId);
    return null;
  },
  'data.setMapping': async ({ datasetId, mapping }) => (await state.data()).datasets.setMapping(datasetId, mapping),
  'data.rows': async ({ datasetId, offset, limit }) => (await state.data()).datasets.rows(datasetId, offset, limit),
  'data.preview': async ({ datasetId, index, mapping }) => (await state.data()).datasets.preview(datasetId, index, mapping),
  'data.inspect': async (args) => (await state.data()).datasets.inspect(state.needModel(), args),
  'data.setTrainedTurns': async ({ datasetId, index, trainedTurns }) => (await (await state.data()).datasets.setTrainedTurns(datasetId, index, trainedTurns), null),
  'data.report': (args, context) => report(state, args, context),
  'data.changes': async ({ datasetId, format, template, maxLength }, context) => {
    const training = template === undefined ? null : { model: state.needModel(), template, maxLength: maxLength ?? null };
    return (await state.data()).datasets.changes(datasetId, format, training, context);
  },
});
