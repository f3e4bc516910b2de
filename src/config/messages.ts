/**
 * The table of messages for what can go wrong with the device, a run, storage and links. Messages about one file format,
 * one row or one template stand where that format is read. Voice: plain, numbers first, no blame; every message says
 * what happened and what to do now. Refuses to know how a problem was found.
 */
import type { UserMessage } from './errors.ts';
import { bytesInWords, countInWords, numbered } from './units.ts';

/** Device. */

/** `secure` is isSecureContext: browsers hide WebGPU from pages served over plain http. */
export const noWebGpu = ({ secure = true }: { secure?: boolean } = {}): UserMessage => ({
  code: 'device.noWebGpu',
  what: secure ? 'This browser does not offer WebGPU, so nothing can be trained here.' : 'This page came over plain http, where browsers do not offer WebGPU.',
  expected: 'Chrome or Edge 121 or newer, Safari 26 or newer, or Firefox 141 or newer on Windows, over https or localhost.',
  likelyCause: secure ? 'An older browser, or hardware acceleration switched off in its settings.' : 'The address begins with http:// and is not localhost.',
  nextStep: secure
    ? 'Open this page in a current Chrome. On Linux, start it with --enable-unsafe-webgpu --enable-features=Vulkan.'
    : 'Open the https:// address of this page, or serve it from localhost.',
});

export const noAdapter = (): UserMessage => ({
  code: 'device.noAdapter',
  what: 'WebGPU is there, but the browser offered no graphics adapter.',
  expected: 'At least one adapter, a software one included.',
  likelyCause: 'The graphics driver is blocked or crashed, or hardware acceleration is off.',
  nextStep: 'Open chrome://gpu to see why, turn on hardware acceleration in the settings, and restart the browser.',
});

export const adapterRefused = (adapter: string, reason: string): UserMessage => ({
  code: 'device.refused',
  what: `The graphics adapter ${adapter} refused to open.`,
  expected: 'A device with the limits the adapter itself reports.',
  likelyCause: reason || 'Another page may hold the adapter, or its driver just restarted.',
  nextStep: 'Close other pages that use the GPU and reload this one.',
});

export interface MemoryNeed {
  /** What the memory was for, e.g. 'training with 4 rows of 1,024 tokens'. */
  purpose: string;
  /** Bytes in all, weights included. */
  needed: number;
  /** Bytes that were already in use by this page, when allocation failed. */
  inUse?: number;
  /** A smaller setting and what it takes; null where even the smallest would not do. */
  fits: { batchSize: number; maxLength: number; bytes: number } | null;
  /** Single changes that make it fit, each with what it then takes. */
  smaller?: readonly { change: string; bytes: number }[];
}

export const outOfMemory = ({ purpose, needed, inUse, fits, smaller = [] }: MemoryNeed): UserMessage => ({
  code: 'device.outOfMemory',
  what: `The GPU has no room for ${purpose}: it takes ${bytesInWords(needed)}${inUse === undefined ? '' : `, and ${bytesInWords(inUse)} were in use`}.`,
  expected: 'Enough free GPU memory for weights, activations and adapter together.',
  likelyCause: 'The batch or the rows are too large for this GPU, or other programs use its memory.',
  nextStep: smaller.length > 0
    ? `${smaller.length > 1 ? 'One of these takes less' : 'This takes less'}: ${smaller.map(({ change, bytes }) => `${change} (${bytesInWords(bytes)})`).join('; ')}.`
    : fits === null
      ? 'Choose a smaller model, or close other programs that use the GPU.'
      : `Set batch size ${fits.batchSize} and maximum length ${countInWords(fits.maxLength)}: that takes about ${bytesInWords(fits.bytes)}.`,
});

export const deviceLost = (reason: string): UserMessage => ({
  code: 'device.lost',
  what: 'The graphics device was lost.',
  expected: 'The device stays available while the page is open.',
  likelyCause: reason || 'The driver restarted, the machine slept, or another program used up the GPU memory.',
  nextStep: 'Reload the page. Data, runs and checkpoints are kept.',
});

/** `checkpoint` is the step of the last one; null before the first. */
export const deviceLostInRun = (step: number, checkpoint: number | null, reason: string): UserMessage => ({
  ...deviceLost(reason),
  code: 'device.lostInRun',
  what: `Training stopped at step ${countInWords(step)}: the graphics device was lost. ${
    checkpoint === null ? 'No checkpoint had been saved yet.' : `The checkpoint of step ${countInWords(checkpoint)} is kept.`}`,
  nextStep: checkpoint === null ? 'Reload the page and start again; save more often under Recipe.' : 'Reload the page and resume the run.',
});

/** Storage. */

/** Told before an import starts. Bytes. */
export const quotaTooSmall = (name: string, needed: number, left: number): UserMessage => ({
  code: 'storage.quota',
  what: `${name} takes about ${bytesInWords(needed)}, and the browser leaves ${bytesInWords(left)} to this page.`,
  expected: 'Room for every row, since rows are streamed from storage in each epoch.',
  likelyCause: 'The disk is nearly full, or other stored data takes the room.',
  nextStep: 'Delete stored datasets or runs, or use part of the file.',
});

export const storageFull = (doing: string): UserMessage => ({
  code: 'storage.full',
  what: `The browser’s storage is full, so ${doing} could not be saved.`,
  expected: 'Room in the storage that the browser gives to this page.',
  likelyCause: 'The disk is nearly full, or the browser’s limit for this page is reached.',
  nextStep: 'Delete stored datasets or runs you no longer need, then try again. What was saved before is kept.',
});

export const storageBlocked = (reason = ''): UserMessage => ({
  code: 'storage.blocked',
  what: 'The browser does not let this page store anything.',
  expected: 'IndexedDB, where rows, runs and checkpoints are kept on your own disk.',
  likelyCause: reason || 'A private window, or a setting that blocks site data.',
  nextStep: 'Open the page in a normal window, or allow site data for it in the browser’s settings.',
});

/** Another tab holds an older version of the database open. */
export const storageHeld = (): UserMessage => ({
  code: 'storage.held',
  what: 'Another tab with an older Etude keeps the stored data open.',
  expected: 'All tabs with the same version.',
  likelyCause: 'Etude was updated while that tab stayed open.',
  nextStep: 'Reload or close the other tab.',
});

export const runInOtherTab = (name: string): UserMessage => ({
  code: 'run.otherTab',
  what: `The run ${name} is open in another tab.`,
  expected: 'One tab a run, so that two do not write over each other’s checkpoints.',
  nextStep: 'Go on in the other tab, or close it and try again here.',
});

/** Model and template. */

export const noChatTemplate = (model: string): UserMessage => ({
  code: 'template.missing',
  what: `${model} has no chat template of its own.`,
  expected: 'A chat_template in tokenizer_config.json, or the file chat_template.jinja.',
  likelyCause: 'It is a base model, which only continues text.',
  nextStep: 'Choose Alpaca under Recipe, which needs no special tokens; ChatML and Llama 3 use tokens this model may never have seen.',
});

export const notFiniteWeights = (tensor: string, index: number): UserMessage => ({
  code: 'model.notFinite',
  what: `The model’s tensor ${tensor} holds a value that is not a number, at element ${countInWords(index)}.`,
  expected: 'Finite numbers in every weight.',
  likelyCause: 'The file is damaged, or the model broke while it was trained or converted.',
  nextStep: 'Download the model again, or choose another one.',
});

/** Training. */

export const lossNotFinite = (step: number): UserMessage => ({
  code: 'train.notFinite',
  what: `Training stopped at step ${countInWords(step)}: the loss is not a number. ${
    step > 1 ? `The last good weights, step ${countInWords(step - 1)}, are kept.` : 'No step had been made, so the adapter is as it began.'}`,
  expected: 'A finite loss at every step.',
  likelyCause: 'The learning rate is too high for this model and data.',
  nextStep: 'Lower the learning rate to a third and start again.',
});

export const lossDiverging = (loss: number, start: number): UserMessage => ({
  code: 'train.diverging',
  what: `The loss has been above twice its start for three steps: ${loss.toFixed(2)}, from ${start.toFixed(2)}.`,
  likelyCause: 'The learning rate is too high.',
  nextStep: 'Stop, and start again with a third of the learning rate.',
});

export const gradientRising = (early: number, late: number): UserMessage => ({
  code: 'train.gradientRising',
  what: `The gradient norm has risen from ${early.toPrecision(3)} to ${late.toPrecision(3)}, and the loss no longer falls.`,
  likelyCause: 'The learning rate is too high.',
  nextStep: 'If the loss rises too, stop and lower the learning rate.',
});

export const validationRising = (bestStep: number): UserMessage => ({
  code: 'train.overfitting',
  what: 'Validation loss has risen at the last three checks while training loss still falls.',
  likelyCause: `The model is starting to learn the rows by heart. Step ${countInWords(bestStep)} was best.`,
  nextStep: 'Stop now, or train fewer epochs next time.',
});

export const lossNearZero = (step: number, totalSteps: number): UserMessage => ({
  code: 'train.nearZero',
  what: `The loss is near zero after ${countInWords(step)} of ${countInWords(totalSteps)} steps.`,
  likelyCause: 'The rows repeat each other, the answers are very short, or the model knew them already.',
  nextStep: 'Look at a few rows in Data; fewer steps may do.',
});

/** The loss does not move, or lora_B is still zero after steps with a learning rate. */
export const noGradient = (steps: number): UserMessage => ({
  code: 'train.flat',
  what: `The loss has not moved in ${numbered(steps, 'step')}: no gradient arrives.`,
  likelyCause: 'The learning rate is 0, or no layer carries an adapter that these rows reach.',
  nextStep: 'Check the learning rate and the layers that learn.',
});

/** Links. */

/** `refused` as decodeShare names them: one line a setting. */
export const shareRefused = (refused: readonly string[]): UserMessage => ({
  code: 'share.refused',
  what: `${numbered(refused.length, 'setting')} of this link could not be used: ${refused.join(' · ')}`,
  expected: 'Only settings that the Recipe step has, within their bounds.',
  likelyCause: 'The link was changed by hand, or made by another version of Etude.',
  nextStep: 'Look through the recipe before you start. Everything else in the link was taken over.',
});
