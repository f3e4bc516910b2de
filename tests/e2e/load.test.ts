import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageAdapter, seriousViolations, startStudios } from './support.ts';

let studios: Awaited<ReturnType<typeof startStudios>>;
beforeAll(async () => { studios = await startStudios(); });
afterAll(() => studios.stop());

test('the studio opens from a sub-path without an error and asks nobody but its own origin', async () => {
  const studio = await studios.open();
  await studio.page.locator('#root > :not(style), #root:not(:empty)').first().waitFor();
  await studio.page.waitForLoadState('networkidle');
  expect(await studio.page.title()).toContain('Etude');
  expect(studio.errors).toEqual([]);
  expect(studio.strayRequests()).toEqual([]);
  expect(studio.requests.length).toBeGreaterThan(1);
  await studio.close();
});

test('what the first visit really loads is under 1 MB compressed, without model and tokenizer files', async () => {
  const studio = await studios.open();
  const bodies = new Map<string, number>();
  const reading: Promise<void>[] = [];
  studio.context.on('response', (response) => {
    reading.push(response.body().then((body) => {
      bodies.set(response.url(), response.url().endsWith('.woff2') ? body.length : gzipSync(body).length);
    }, () => undefined));
  });
  await studio.page.reload({ waitUntil: 'networkidle' });
  await Promise.all(reading);
  const counted = [...bodies].filter(([url]) => !url.includes('/builtin/'));
  const total = counted.reduce((sum, [, bytes]) => sum + bytes, 0);
  console.log(`First visit: ${Math.round(total / 1000)} kB gzip in ${counted.length} files`);
  expect(counted.length).toBeGreaterThan(2);
  expect(total, JSON.stringify(counted)).toBeLessThan(1_000_000);
  await studio.close();
});

test('the page has WebGPU here, on the software adapter the tests run on', async () => {
  const studio = await studios.open();
  expect(await pageAdapter(studio.page)).toBe('google swiftshader');
  await studio.close();
});

test('the policy stops what it does not name: inline code, eval, inline style and a foreign host', async () => {
  const studio = await studios.open();
  const outcome = await studio.page.evaluate(async () => {
    const violated: string[] = [];
    document.addEventListener('securitypolicyviolation', (event) => violated.push(event.effectiveDirective));
    const script = document.createElement('script');
    script.textContent = 'globalThis.inlineRan = true';
    const style = document.createElement('style');
    style.textContent = 'html { --inline-style: applied }';
    document.head.append(script, style);
    await fetch('http://127.0.0.1:1/').catch(() => undefined);
    // The test's own call may use eval; what runs after it, in a timer, may not.
    await new Promise<void>((done) => setTimeout(() => {
      try {
        // oxlint-disable-next-line no-new-func, no-implied-eval -- must be refused
        new Function('globalThis.evalRan = true')();
      } catch { /* refused */ }
      setTimeout(done, 100);
    }, 100));
    return {
      ran: ['inlineRan', 'evalRan'].filter((name) => name in globalThis),
      style: getComputedStyle(document.documentElement).getPropertyValue('--inline-style'),
      violated: violated.toSorted(),
    };
  });
  expect(outcome).toEqual({ ran: [], style: '', violated: ['connect-src', 'script-src', 'script-src-elem', 'style-src-elem'] });
  await studio.close();
});

test('axe finds nothing serious on the first screen', async () => {
  const studio = await studios.open();
  await studio.page.waitForLoadState('networkidle');
  expect(await seriousViolations(studio.page)).toEqual([]);
  await studio.close();
});
