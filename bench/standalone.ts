/** The bench as a program of its own, for the archive that `npm run bench:pack` makes. */
import { exitNow } from '../src/cli/nodeGpu.ts';
import { main } from '../src/cli/bench.ts';

await main(process.argv.slice(2)).then(exitNow, (error: unknown) => {
  console.error(error);
  return exitNow(1);
});
