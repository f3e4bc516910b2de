/** The adapter as files: built, read back and compared by the worker, then offered. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { setTuned, useTuned } from './tuned.ts';
import type { ExportResult, Requests } from './types.ts';
import { failure, request } from './worker.ts';

interface ExportState {
  status: 'idle' | 'building' | 'ready' | 'failed';
  result: ExportResult | null;
  /** Version of the adapter the result is of. */
  version: number;
  error: UserMessage | null;
  importError: UserMessage | null;
  imported: Requests['adapter.import']['result'] | null;
  importing: boolean;
}

export const useExport = create<ExportState>(() => ({
  status: 'idle', result: null, version: -1, error: null, importError: null, imported: null, importing: false,
}));

/** Writes the files of the present adapter and checks them. */
export async function buildExport(): Promise<void> {
  const { version } = useTuned.getState();
  useExport.setState({ status: 'building', result: null, version, error: null });
  try {
    const result = await request('export.build', {});
    if (useTuned.getState().version === version) useExport.setState({ status: 'ready', result });
  } catch (error) {
    if (useTuned.getState().version === version) useExport.setState({ status: 'failed', error: failure(error) });
  }
}

export const clearExport = (): void => useExport.setState({ status: 'idle', result: null, error: null });

/** Puts a PEFT adapter from files or a zip onto the loaded model; false when it was refused. */
export async function importAdapter(name: string, files: File[]): Promise<boolean> {
  useExport.setState({ importing: true, importError: null, imported: null });
  try {
    const imported = await request('adapter.import', { name, files });
    setTuned({ runId: null, name: imported.name, step: null });
    useExport.setState({ imported, importing: false });
    return true;
  } catch (error) {
    useExport.setState({ importError: failure(error), importing: false });
    return false;
  }
}

export const dismissImportError = (): void => useExport.setState({ importError: null });
