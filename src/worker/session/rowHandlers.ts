/** Answers about single rows: views of the table, edits, the split, export. */
import type { RowRequests } from '../protocolRows.ts';
import type { Handlers } from './handlers.ts';
import { refuse } from './refuse.ts';
import type { SessionState } from './state.ts';

const later = (): Promise<never> => Promise.reject(refuse('protocol.unknown', 'This worker does not know this request yet.', 'Reload the page.'));

export const rowHandlers = (_state: SessionState): Pick<Handlers, keyof RowRequests> => ({
  'data.view': later, 'data.viewRows': later, 'data.viewClose': later, 'data.editRow': later, 'data.addRow': later, 'data.deleteRows': later,
  'data.undoEdit': later, 'data.edits': later, 'data.exportRows': later, 'data.setSplit': later, 'data.create': later,
});
