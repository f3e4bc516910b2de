/** Connects the stores to a worker client and to each other; called once. */
import type { UserMessage } from '../config/errors.ts';
import type { WorkerClient } from '../worker/client.ts';
import { clearAnswers, handleChatEvent, loadHeldOut, setSampling } from './chat.ts';
import { listDatasets, useData } from './data.ts';
import { adaptRecipe } from './defaults.ts';
import { deviceFailed, openDevice, refreshStorage } from './device.ts';
import { clearExport } from './exporting.ts';
import { listCached, restoreHubToken } from './hub.ts';
import { modelLost, modelUnloaded, useModel } from './model.ts';
import { clearPlan, requestPlan } from './plan.ts';
import { useRecipe } from './recipe.ts';
import { handleRunEvent, runFailed, runIsLive, useRun } from './run.ts';
import { refreshRuns } from './runs.ts';
import { handleRowsEvent, leaveRows, rowMoved, rowsChanged } from './rowView.ts';
import { announce } from './session.ts';
import { setTuned, useTuned } from './tuned.ts';
import type { WorkerEvent } from './types.ts';
import { setClient } from './worker.ts';

function lost(message: UserMessage): void {
  modelLost(message);
  setTuned(null);
  clearPlan();
  if (runIsLive(useRun.getState())) runFailed(message);
  void refreshRuns();
}

/** A new worker knows no token; one that was not to be remembered is asked for again. */
function crashed(message: UserMessage): void {
  lost(message);
  void restoreHubToken();
}

function handleEvent(event: WorkerEvent): void {
  handleRunEvent(event);
  handleChatEvent(event);
  handleRowsEvent(event);
  if (event.type === 'model.unloaded') modelUnloaded();
  if (event.type === 'device.lost') {
    deviceFailed(event.message);
    lost(event.message);
  }
  if (event.type === 'train.started') {
    announce(`Training started: ${event.run.totalSteps} steps.`);
    void refreshRuns();
  }
  if (event.type === 'train.alert') announce(event.alert.what);
  if (event.type === 'train.status' && event.status === 'finished') announce('Training has finished.');
  if (event.type === 'train.status' && event.status === 'failed') announce(event.message?.what ?? 'Training has failed.');
}

/** Says each new epoch aloud. */
function announceEpochs(): void {
  useRun.subscribe((state, before) => {
    const epoch = Math.floor(state.readouts.epoch);
    if (runIsLive(state) && state.run?.id === before.run?.id && epoch > Math.floor(before.readouts.epoch)) {
      announce(`Epoch ${epoch} is over at step ${state.readouts.step}.`);
    }
  });
}

const SETTLE_FORECAST = 250;
const SETTLE_REPORT = 700;

function watch(): void {
  useModel.subscribe((state, before) => {
    if (state.summary === before.summary) return;
    setTuned(null);
    clearPlan();
    adaptRecipe();
    if (state.summary?.source === 'builtin') setSampling({ temperature: 0, maxNewTokens: 64 });
    if (state.summary) {
      requestPlan('report');
      requestPlan('forecast');
    }
  });
  useData.subscribe((state, before) => {
    if (state.row !== before.row) rowMoved(state.row);
    if (state.currentId === before.currentId && state.version === before.version) return;
    if (state.currentId !== before.currentId) {
      clearPlan();
      adaptRecipe();
      void refreshStorage();
      void loadHeldOut();
      leaveRows();
    } else {
      rowsChanged();
    }
    requestPlan('report');
    requestPlan('forecast');
  });
  useRecipe.subscribe((state, before) => {
    if (state.recipe === before.recipe) return;
    requestPlan('forecast', SETTLE_FORECAST);
    const { template, maxLength } = state.recipe.data;
    if (template !== before.recipe.data.template || maxLength !== before.recipe.data.maxLength) requestPlan('report', SETTLE_REPORT);
  });
  useTuned.subscribe((state, before) => {
    if (state.version === before.version) return;
    clearAnswers();
    clearExport();
    if (state.tuned) void loadHeldOut();
  });
  announceEpochs();
}

/** Starts the studio on a worker client: opens the device and lists what is stored. Starts nothing else by itself. */
export function connect(client: WorkerClient): void {
  setClient(client);
  client.onEvent(handleEvent);
  client.onCrash(crashed);
  watch();
  void openDevice();
  void listDatasets();
  void refreshRuns();
  void refreshStorage();
  void restoreHubToken();
  void listCached();
}
