/**
 * Owns the memory of which kernel variants are fastest here: measured once for a graphics adapter and a browser, then kept, since another
 * choice in the next run would change that run's last bits. Software adapters keep their defaults, which were measured before.
 */
import type { EtudeDatabase } from '../../data/db.ts';
import type { Engine } from '../../engine/device.ts';

/** Raised when kernels change so much that old measurements mislead. */
const MEASUREMENT = 3;

/** What the browser's flag shows is measured anew: without it these kernels were not among those compared. */
const keyOf = ({ info }: Engine): string => `variants ${MEASUREMENT}${info.subgroupMatrix ? ' matrix' : ''}\n${info.key}\n${globalThis.navigator?.userAgent ?? ''}`;

/**
 * Gives engine.variants what earlier visits measured, and keeps what this one measures.
 * @param database where choices are kept; without one they hold for this visit
 */
export async function rememberVariants(engine: Engine, database: () => Promise<EtudeDatabase>): Promise<void> {
  if (engine.info.software) return;
  const key = keyOf(engine);
  const kept = async (): Promise<Record<string, string>> => {
    const value: unknown = await (await database()).get('settings', key);
    return isChoice(value) ? value : {};
  };
  Object.assign(engine.variants, await kept().catch(() => ({})));
  // One after the other: each adds to what is there.
  let last = Promise.resolve();
  engine.onTuned = (choices) => {
    last = last.then(async () => {
      await (await database()).put('settings', { ...(await kept()), ...choices }, key);
    }).catch(() => {});
  };
}

const isChoice = (value: unknown): value is Record<string, string> =>
  typeof value === 'object' && value !== null && Object.values(value).every((variant) => typeof variant === 'string');
