/**
 * Answers the protocol's requests. The same object serves the page's worker, the headless page and Node, which also has
 * its parts under their own names.
 */
import type { LoraConfig, Quantization, Recipe } from '../../config/recipe.ts';
import type { DataReport, DatasetSummary, Mapping, TemplateId } from '../../data/types.ts';
import type { ByteSource } from '../../formats/byteSource.ts';
import type { ModelFolder } from '../../hub/modelFolder.ts';
import type { DeviceInfo, ModelSummary, RequestName, Requests, RunDetail } from '../protocol.ts';
import { chatHandlers } from './chatHandlers.ts';
import { dataHandlers, importBuiltinData, importParts, report, type ImportedParts } from './dataHandlers.ts';
import type { RequestContext, SessionEnvironment } from './environment.ts';
import type { BuiltExport } from './exporting.ts';
import type { Handlers } from './handlers.ts';
import { hubHandlers } from './hubHandlers.ts';
import { exportTuned, importAdapter, loadModel, modelHandlers, type ModelOrigin } from './modelHandlers.ts';
import { refuse } from './refuse.ts';
import { runHandlers } from './runHandlers.ts';
import { SessionState } from './state.ts';
import { startRun, type StartOptions } from './training.ts';

export class Session {
  readonly environment: SessionEnvironment;
  readonly #state: SessionState;
  readonly #handlers: Handlers;

  constructor(environment: SessionEnvironment) {
    this.environment = environment;
    const state = new SessionState(environment);
    this.#state = state;
    this.#handlers = {
      'device.open': ({ measure }) => state.deviceInfo(measure === true),
      'device.setMemoryLimit': async ({ bytes }) => (state.memory.limit(bytes), null),
      ...modelHandlers(state),
      ...dataHandlers(state),
      ...runHandlers(state),
      ...chatHandlers(state),
      ...hubHandlers(state),
      'storage.info': async () => {
        const { usage = 0, quota = 0 } = (await environment.storage?.estimate()) ?? {};
        return { usage, quota, persisted: (await environment.storage?.persisted()) ?? false };
      },
      'page.watched': async ({ watched }) => (await state.watch(watched), null),
      // Handled where the messages arrive.
      cancel: async () => null,
    };
  }

  handle<N extends RequestName>(name: N, args: Requests[N]['args'], context: RequestContext): Promise<Requests[N]['result']> {
    const handler = this.#handlers[name];
    if (!handler) return Promise.reject(refuse('protocol.unknown', `The page asked for ${name}, which this worker does not know.`, 'Reload the page.'));
    return handler(args, context).catch((error: unknown) => this.#state.explain(error));
  }

  /** Loads a model from files, for callers without a page. */
  loadFolder(origin: ModelOrigin, open: () => Promise<ModelFolder>, context: RequestContext, quantization?: Quantization): Promise<ModelSummary> {
    return loadModel(this.#state, async () => ({ origin, folder: await open() }), context, quantization);
  }

  /** Files as one dataset, of the hub where it says so. */
  importParts(parts: ImportedParts, context: RequestContext, mapping?: Mapping): Promise<DatasetSummary> {
    return importParts(this.#state, parts, context, mapping);
  }

  importBuiltinData(context: RequestContext): Promise<DatasetSummary> {
    return importBuiltinData(this.#state, context);
  }

  report(datasetId: string, template: TemplateId, maxLength: number, context: RequestContext): Promise<DataReport> {
    return report(this.#state, { datasetId, template, maxLength }, context);
  }

  /** Makes an adapter from files the tuned one. */
  importAdapter(name: string, files: ReadonlyMap<string, ByteSource>): Promise<{ name: string; config: LoraConfig }> {
    return importAdapter(this.#state, name, files);
  }

  /** Starts a run and resolves at its end. */
  train(datasetId: string, recipe: Recipe, options: StartOptions = {}): Promise<RunDetail> {
    return this.#state.alone(() => startRun(this.#state, datasetId, recipe, options));
  }

  buildExport(): Promise<BuiltExport> {
    return exportTuned(this.#state);
  }

  deviceInfo(measure: boolean): Promise<DeviceInfo> {
    return this.#state.deviceInfo(measure);
  }

  destroy(): Promise<void> {
    return this.#state.destroy();
  }
}
