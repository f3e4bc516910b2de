/** Owns metrics.jsonl: one line a logged step, under the names of TRL's logs. */

/** What the trainer logged at a step. Tokens are counted from the start of the run. */
export interface LoggedStep {
  step: number;
  epoch: number;
  loss: number;
  evalLoss?: number;
  learningRate: number;
  gradNorm: number;
  numTokens: number;
  tokensPerSecond: number;
}

export interface MetricsLine {
  step: number;
  epoch: number;
  loss: number;
  eval_loss?: number;
  learning_rate: number;
  grad_norm: number;
  num_tokens: number;
  tokens_per_second: number;
}

export const metricsLine = (m: LoggedStep): MetricsLine => ({
  step: m.step,
  epoch: m.epoch,
  loss: m.loss,
  ...(m.evalLoss === undefined ? {} : { eval_loss: m.evalLoss }),
  learning_rate: m.learningRate,
  grad_norm: m.gradNorm,
  num_tokens: m.numTokens,
  tokens_per_second: m.tokensPerSecond,
});

export const metricsJsonl = (steps: readonly LoggedStep[]): string => steps.map((m) => `${JSON.stringify(metricsLine(m))}\n`).join('');
