/** Answers about single rows: views of the table, edits, the split, export. */
import type { RowRequests } from '../protocolRows.ts';
import type { Handlers } from './handlers.ts';
import type { SessionState } from './state.ts';

export const rowHandlers = (state: SessionState): Pick<Handlers, keyof RowRequests> => ({
  'data.view': async (args, context) => (await state.data()).tables.view(args, context),
  'data.viewRows': async (args, context) => (await state.data()).tables.viewRows(args, context),
  'data.viewClose': async (args) => ((await state.data()).tables.close(args), null),
  'data.editRow': async (args) => (await state.data()).tables.editRow(args),
  'data.addRow': async (args) => (await state.data()).tables.addRow(args),
  'data.deleteRows': async (args, context) => (await state.data()).tables.deleteRows(args, context),
  'data.undoEdit': async (args) => (await state.data()).tables.undoEdit(args),
  'data.edits': async ({ datasetId }) => (await state.data()).tables.edits(datasetId),
  'data.exportRows': async (args, context) => (await state.data()).tables.exportRows(args, context),
  'data.setSplit': async (args, context) => (await state.data()).tables.setSplit(args, context),
  'data.create': async (args) => (await state.data()).tables.create(args),
});
