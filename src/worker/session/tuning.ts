/**
 * Owns the memory of which kernel variants are fastest here: measured once for a graphics adapter and a browser, then kept, since another
 * choice in the next run would change that run's last bits. Software adapters keep their defaults, which were measured before.
 */
import type { EtudeDatabase } from '../../data/db.ts';
import { autotune } from '../../engine/autotune.ts';
import type { Engine } from '../../engine/device.ts';
import { availableVariants, SHAPE_CLASSES } from '../../engine/variants.ts';

/** Raised when kernels change so much that old measurements mislead. */
const MEASUREMENT = 1;

const keyOf = (engine: Engine): string => `variants ${MEASUREMENT}\n${engine.info.key}\n${globalThis.navigator?.userAgent ?? ''}`;

/**
 * Kernel variants by shape class, for engine.variants.
 * @param database where choices are kept; without one the choice holds for this visit
 */
export async function tunedVariants(engine: Engine, database: () => Promise<EtudeDatabase>, tune: (engine: Engine) => Promise<Record<string, string>> = autotune): Promise<Record<string, string>> {
  if (engine.info.software) return {};
  const db = await database().catch(() => null);
  const key = keyOf(engine);
  const kept: unknown = await db?.get('settings', key).catch(() => null);
  if (isChoice(engine, kept)) return kept;
  const choice = await tune(engine);
  await db?.put('settings', choice, key).catch(() => null);
  return choice;
}

/** What was kept may be of another version, or of an adapter that has lost a feature. */
const isChoice = (engine: Engine, kept: unknown): kept is Record<string, string> =>
  typeof kept === 'object' && kept !== null
  && SHAPE_CLASSES.every((shape) => (availableVariants(engine, shape) as string[]).includes(String((kept as Record<string, unknown>)[shape])));
