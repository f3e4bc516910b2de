/** The bench as a program of its own, for the archive that `npm run bench:pack` makes. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { main } from '../src/cli/bench.ts';
import { exitNow } from '../src/cli/nodeGpu.ts';
import pythonScript from './pytorch_peft.py?raw';

const peers = join(import.meta.dirname, 'peers');

await main(process.argv.slice(2), { pythonScript: () => Promise.resolve(pythonScript), peersBundle: existsSync(peers) ? peers : null }).then(exitNow, (error: unknown) => {
  console.error(error);
  return exitNow(1);
});
