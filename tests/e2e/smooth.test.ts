import { availableParallelism, loadavg } from 'node:os';
import type { CDPSession } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fragmentOf, prepareBuiltin, shortRecipe, startTraining, trained } from './steps.ts';
import { startStudios } from './support.ts';

interface LongTask { start: number; duration: number; frame: string }
type Watched = typeof globalThis & { longTasks: LongTask[] };

/** Notes every task of the main thread that held it for more than 50 ms. */
function watchLongTasks(): void {
  const longTasks: LongTask[] = [];
  (globalThis as Watched).longTasks = longTasks;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & { attribution?: { containerType: string }[] })[]) {
      longTasks.push({ start: entry.startTime, duration: entry.duration, frame: entry.attribution?.[0]?.containerType ?? '' });
    }
  }).observe({ type: 'longtask', buffered: true });
}

/** Seconds the page's main thread has worked: by the clock, and in processor time. */
async function mainThread(wall: CDPSession, cpu: CDPSession): Promise<{ wall: number; cpu: number }> {
  const seconds = async (session: CDPSession): Promise<number> =>
    (await session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration')!.value;
  return { wall: await seconds(wall), cpu: await seconds(cpu) };
}

let studios: Awaited<ReturnType<typeof startStudios>>;
beforeAll(async () => { studios = await startStudios(); });
afterAll(() => studios.stop());

/**
 * SwiftShader computes on the processor's cores, and so may whatever else runs here: a task of 10 ms of work can hold the
 * main thread for 60 ms because the thread had to wait for a core. What the page can answer for is its processor time, so
 * that is judged; long tasks by the clock are printed, and judged only against the same work with waiting taken out.
 */
test('the main thread stays nearly idle while a run trains on the software adapter', async () => {
  const studio = await studios.open({ fragment: fragmentOf(shortRecipe({ training: { maxSteps: 12 } })), initScript: watchLongTasks });
  const { page, context } = studio;
  await prepareBuiltin(page);
  const [wallSession, cpuSession] = [await context.newCDPSession(page), await context.newCDPSession(page)];
  await wallSession.send('Performance.enable', { timeDomain: 'timeTicks' });
  await cpuSession.send('Performance.enable', { timeDomain: 'threadTicks' });
  await startTraining(page);
  // The screen is drawn and its code is loaded; what follows is the run.
  await expect.poll(() => page.title()).toMatch(/^[1-9]\d*\/12 /);
  const from = await page.evaluate(() => performance.now());
  const before = await mainThread(wallSession, cpuSession);
  await trained(page);
  const after = await mainThread(wallSession, cpuSession);
  const [to, longTasks] = await page.evaluate(() => [performance.now(), (globalThis as Watched).longTasks] as const);

  const seconds = (to - from) / 1000;
  const cpu = after.cpu - before.cpu;
  const waiting = Math.max(1, (after.wall - before.wall) / cpu);
  const during = longTasks.filter(({ start }) => start >= from);
  const worst = Math.max(0, ...during.map(({ duration }) => duration));
  console.log([
    `Load ${loadavg()[0]!.toFixed(1)} on ${availableParallelism()} cores.`,
    `In ${seconds.toFixed(1)} s of training the main thread worked ${(cpu * 1000).toFixed(0)} ms of processor time (${((100 * cpu) / seconds).toFixed(1)} %), stretched ${waiting.toFixed(1)} times by waiting.`,
    `Tasks over 50 ms by the clock: ${during.length}, worst ${worst.toFixed(0)} ms. Before the run: ${longTasks.length - during.length}, worst ${Math.max(0, ...longTasks.filter(({ start }) => start < from).map(({ duration }) => duration)).toFixed(0)} ms.`,
  ].join('\n'));
  expect(cpu / seconds).toBeLessThan(0.25);
  expect(worst / waiting).toBeLessThan(200);
  await studio.close();
});
