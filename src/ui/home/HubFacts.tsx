/** What the chosen model of the hub is and takes, before it is downloaded; or why it cannot be used. */
import { useDevice } from '../../stores/device.ts';
import { inspectHub, useHub } from '../../stores/hub.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { MEMORY_COLOURS, MemoryBar } from '../components/MemoryBar.tsx';
import { formatBytes, formatCountShort, UNKNOWN } from '../format.ts';
import { fitOf } from './fits.ts';
import { licenceName } from './words.ts';
import classes from './Home.module.css';

/** Problems that a token, or another one, solves. */
const needsToken = (code: string): boolean => ['hub.gated', 'hub.noAccess', 'hub.badToken'].includes(code);

export function HubFacts({ repo, onToken }: { repo: string; onToken: () => void }) {
  const { inspecting, inspection, inspectError } = useHub();
  const limit = useDevice((s) => s.info?.memoryBudget ?? null);
  const again = () => void inspectHub(repo);
  if (inspecting?.repo === repo) return <p className={`caption ${classes.more}`} role="status">Asking the hub about {repo}</p>;
  if (inspectError) return <div className={classes.block}><ErrorPanel error={inspectError} action={{ label: 'Ask again', onClick: again }} /></div>;
  if (inspection?.repo !== repo) return null;
  const { memory, problem } = inspection;
  const fit = memory && fitOf(memory.weights, memory.training, limit);
  const left = inspection.totalBytes - inspection.cachedBytes;
  const rows: [string, string][] = [
    ['Model', [inspection.architecture?.replace('ForCausalLM', ''), inspection.parameters === null ? null : formatCountShort(inspection.parameters), licenceName(inspection.licence), inspection.gated ? 'gated' : null].filter(Boolean).join(', ') || UNKNOWN],
    ['Download', left === 0 ? `none, ${formatBytes(inspection.totalBytes)} are here` : inspection.cachedBytes > 0 ? `${formatBytes(left)} of ${formatBytes(inspection.totalBytes)} are left` : formatBytes(inspection.totalBytes)],
    ['Revision', `${inspection.revision}, ${inspection.commit.slice(0, 7)}`],
    ...(fit ? [['This device', fit.word] as [string, string]] : []),
  ];
  return (
    <div data-testid="hub-facts">
      <dl className={classes.facts}>{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      {memory && (
        <div className={classes.block}>
          <MemoryBar
            title="Training, 1 row of 512" limit={limit}
            parts={[{ key: 'weights', name: 'Frozen weights', bytes: memory.weights, colour: MEMORY_COLOURS.weights }, { key: 'rest', name: 'Everything else', bytes: memory.training - memory.weights, colour: MEMORY_COLOURS.activations }]}
          />
          {fit && fit.word !== 'fits' && <p className="caption">{fit.why}</p>}
        </div>
      )}
      {problem && <div className={classes.block}><ErrorPanel error={problem} action={needsToken(problem.code) ? { label: 'Enter a token', onClick: onToken } : { label: 'Ask again', onClick: again }} /></div>}
    </div>
  );
}
