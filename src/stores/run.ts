/** The run on the Train screen: live while it trains, kept when it is over. Fed by the worker's events. */
import { create } from 'zustand';
import type { UserMessage } from '../config/errors.ts';
import { emptySeries, pushPoint, type CurvePoint, type Series } from './lossSeries.ts';
import { throttle } from './throttle.ts';
import type { PromptAnswer, RunDetail, RunStatus, RunSummary, StepMetrics, WorkerEvent } from './types.ts';
import { setTuned } from './tuned.ts';

/** What the charts draw: a new object at most ten times a second. */
export interface RunCharts { loss: Series; gradNorm: Series; learningRate: Series; evals: CurvePoint[] }

export interface Readouts {
  step: number; epoch: number; loss: number | null; smoothed: number | null; evalLoss: number | null;
  learningRate: number | null; gradNorm: number | null; tokensPerSecond: number | null; numTokens: number;
  elapsed: number; left: number | null;
}

interface RunState {
  status: RunStatus | 'idle' | 'starting';
  run: RunSummary | null;
  totalSteps: number;
  readouts: Readouts;
  charts: RunCharts;
  answers: PromptAnswer[];
  /** Newest first. */
  alerts: { alert: UserMessage; step: number }[];
  /** Why the run could not start or ended. */
  error: UserMessage | null;
  checkpointStep: number | null;
  /** Asked to pause or stop and not there yet. */
  asked: 'pause' | 'stop' | null;
}

const noReadouts: Readouts = {
  step: 0, epoch: 0, loss: null, smoothed: null, evalLoss: null, learningRate: null, gradNorm: null, tokensPerSecond: null,
  numTokens: 0, elapsed: 0, left: null,
};
const noCharts = (): RunCharts => ({ loss: emptySeries(), gradNorm: emptySeries(), learningRate: emptySeries(), evals: [] });

export const useRun = create<RunState>(() => ({
  status: 'idle', run: null, totalSteps: 0, readouts: noReadouts, charts: noCharts(), answers: [], alerts: [], error: null,
  checkpointStep: null, asked: null,
}));

let live = noCharts();
let readouts = noReadouts;
/** The past run on screen, until it goes on. */
let past: RunDetail | null = null;

const snapshot = (s: Series): Series => ({ ...s, buckets: s.buckets.slice() });
const showCharts = throttle(() => useRun.setState({
  charts: { loss: snapshot(live.loss), gradNorm: snapshot(live.gradNorm), learningRate: snapshot(live.learningRate), evals: live.evals },
}), 100);
const showReadouts = throttle(() => useRun.setState({ readouts }), 250);

function addMetrics(m: StepMetrics): void {
  pushPoint(live.loss, m.step, m.loss);
  pushPoint(live.gradNorm, m.step, m.gradNorm);
  pushPoint(live.learningRate, m.step, m.learningRate);
  if (m.evalLoss !== undefined) addEval(m.step, m.evalLoss);
  readouts = {
    ...readouts, step: m.step, epoch: m.epoch, loss: m.loss, smoothed: live.loss.buckets.at(-1)?.smooth ?? null,
    learningRate: m.learningRate, gradNorm: m.gradNorm, tokensPerSecond: m.tokensPerSecond, numTokens: m.numTokens,
  };
}

function addEval(step: number, value: number): void {
  if (!Number.isFinite(value)) return;
  if (live.evals.at(-1)?.step !== step) live.evals = [...live.evals, { step, value }];
  readouts = { ...readouts, evalLoss: value };
}

function begin(): void {
  showCharts.cancel();
  showReadouts.cancel();
  live = noCharts();
  readouts = noReadouts;
  past = null;
}

/** Empties the screen for a run that is about to start. */
export function prepareRun(): void {
  begin();
  useRun.setState({
    status: 'starting', run: null, totalSteps: 0, readouts, charts: noCharts(), answers: [], alerts: [], error: null, checkpointStep: null, asked: null,
  });
}

/** Fills the screen with a past run. */
export function showRun(detail: RunDetail): void {
  begin();
  past = detail;
  for (const m of detail.metrics) addMetrics(m);
  readouts = { ...readouts, elapsed: detail.seconds };
  useRun.setState({
    status: detail.status, run: detail, totalSteps: detail.totalSteps, answers: detail.answers,
    alerts: detail.alerts.map((alert) => ({ alert, step: detail.step })).reverse(), error: null, checkpointStep: null, asked: null,
  });
  showCharts.flush();
  showReadouts.flush();
}

/** A run that goes on from its checkpoint makes the steps after it again: what was shown of them goes. */
function rewind(detail: RunDetail, step: number): void {
  showRun({ ...detail, step, metrics: detail.metrics.filter((m) => m.step <= step), answers: detail.answers.filter((a) => a.step <= step) });
}

const isLive = (status: RunState['status']): boolean => status === 'running' || status === 'paused' || status === 'starting';

/** The run could not start, or has ended with an error. */
export const runFailed = (error: UserMessage | null): void => useRun.setState((s) => ({
  error: error ?? s.error, asked: null, status: !isLive(s.status) ? s.status : s.run ? 'failed' : 'idle',
}));

/** A command to the run was refused; the run itself goes on. */
export const runRefused = (error: UserMessage | null): void => useRun.setState({ error, asked: null });

export const setAsked = (asked: RunState['asked']): void => useRun.setState({ asked });

/** A run is training, paused or starting. */
export const runIsLive = (s: Pick<RunState, 'status'>): boolean => isLive(s.status);

function keepAdapter(): void {
  const { run, readouts: { step } } = useRun.getState();
  if (run && step > 0) setTuned({ runId: run.id, name: run.name, step });
}

const ENDED: RunStatus[] = ['finished', 'stopped'];

/** The run is over: its last numbers are shown and its adapter is on the model. */
export function runEnded(summary: RunSummary): void {
  showCharts.flush();
  showReadouts.flush();
  useRun.setState((s) => ({ run: summary, status: summary.status, asked: null, totalSteps: summary.totalSteps || s.totalSteps }));
  if (ENDED.includes(summary.status) && summary.step > 0) setTuned({ runId: summary.id, name: summary.name, step: summary.step });
}

/** Applies an event of the worker; those of other topics are left alone. */
export function handleRunEvent(event: WorkerEvent): void {
  switch (event.type) {
    case 'train.started':
      if (past?.id === event.run.id) rewind(past, event.run.step);
      past = null;
      useRun.setState({ run: event.run, status: 'running', totalSteps: event.run.totalSteps, error: null });
      break;
    case 'train.step':
      addMetrics(event.metrics);
      readouts = { ...readouts, elapsed: event.elapsedSeconds, left: event.secondsLeft };
      if (useRun.getState().totalSteps !== event.totalSteps) useRun.setState({ totalSteps: event.totalSteps });
      showCharts.call();
      showReadouts.call();
      break;
    case 'train.eval':
      addEval(event.step, event.evalLoss);
      showCharts.call();
      showReadouts.call();
      break;
    case 'train.answer':
      useRun.setState((s) => ({ answers: [...s.answers, event.answer] }));
      break;
    case 'train.alert':
      useRun.setState((s) => ({ alerts: [{ alert: event.alert, step: event.step }, ...s.alerts] }));
      break;
    case 'train.checkpoint':
      useRun.setState({ checkpointStep: event.step });
      break;
    case 'train.status':
      showReadouts.flush();
      useRun.setState((s) => ({ status: event.status, asked: null, error: event.message ?? s.error, run: s.run && { ...s.run, status: event.status } }));
      // A paused run can be tried: its adapter is on the model.
      if (event.status === 'paused') keepAdapter();
      break;
    default:
  }
}
