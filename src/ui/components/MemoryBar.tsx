/** Parts of the GPU's memory as a bar against what the device tells it allows, with a list beneath. */
import { byteUnit, formatBytes } from '../format.ts';
import classes from './MemoryBar.module.css';

export interface MemoryPart { key: string; name: string; bytes: number; colour: string }

interface MemoryBarProps { title: string; parts: readonly MemoryPart[]; limit: number | null }

export const MEMORY_COLOURS = {
  weights: 'var(--etude-memory-weights)', activations: 'var(--etude-memory-activations)', logits: 'var(--etude-memory-logits)', adapter: 'var(--etude-accent)', generation: 'var(--etude-ghost)',
} as const;

export function MemoryBar({ title, parts, limit }: MemoryBarProps) {
  const total = parts.reduce((sum, part) => sum + part.bytes, 0);
  const { unit, of } = byteUnit(total);
  const scale = Math.max(total, limit ?? 0, 1);
  const against = limit === null ? '' : byteUnit(limit).unit === unit ? ` of ${of(limit)} ${unit}` : ` ${unit} of ${formatBytes(limit)}`;
  return (
    <div className={classes.memory} data-testid="memory-bar">
      <div className={classes.head}>
        <span>{title}</span>
        <span><b>{of(total)}</b>{against || ` ${unit}`}</span>
      </div>
      <div className={classes.bar} data-over={(limit !== null && total > limit) || undefined} role="img" aria-label={`${title}: ${formatBytes(total)}${limit === null ? '' : ` of ${formatBytes(limit)}`}`}>
        {parts.map(({ key, bytes, colour }) => <span key={key} style={{ width: `${(100 * bytes) / scale}%`, background: colour }} />)}
      </div>
      <ul className={classes.parts}>
        {parts.map(({ key, name, bytes, colour }) => (
          <li key={key}><span className={classes.swatch} style={{ background: colour }} />{name}<span>{of(bytes)} {unit}</span></li>
        ))}
      </ul>
    </div>
  );
}
