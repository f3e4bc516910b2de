/** The state of a step as a shape: never by colour alone. */
import { IconAlertTriangle } from '../icons.ts';

export type Mark = 'ring' | 'here' | 'check' | 'triangle' | 'arc';

const WORDS: Record<Mark, string> = {
  ring: 'not ready', here: 'you are here', check: 'ready', triangle: 'has findings', arc: 'running',
};

interface StepMarkProps {
  mark: Mark;
  /** Share done, for the arc. */
  share?: number;
}

const RADIUS = 6.75;
const LENGTH = 2 * Math.PI * RADIUS;

function Shape({ mark, share = 0 }: StepMarkProps) {
  if (mark === 'triangle') return <IconAlertTriangle size={17} stroke={2} color="var(--etude-warning-mark)" aria-hidden="true" />;
  return (
    <svg width="18" height="18" viewBox="0 0 18 18" fill="none" aria-hidden="true">
      {mark === 'ring' && <circle cx="9" cy="9" r="6.5" stroke="var(--etude-control)" strokeWidth="1.5" />}
      {mark === 'here' && <>
        <circle cx="9" cy="9" r="6.5" stroke="var(--etude-accent)" strokeWidth="1.75" />
        <circle cx="9" cy="9" r="2.75" fill="var(--etude-accent)" />
      </>}
      {mark === 'check' && <>
        <circle cx="9" cy="9" r="7.25" fill="var(--etude-accent)" />
        <path d="m5.8 9.2 2.2 2.2 4.2-4.5" stroke="var(--etude-on-accent)" strokeWidth="1.75" strokeLinecap="round" strokeLinejoin="round" />
      </>}
      {mark === 'arc' && <>
        <circle cx="9" cy="9" r={RADIUS} stroke="var(--etude-line-2)" strokeWidth="2.5" />
        <circle
          cx="9" cy="9" r={RADIUS} stroke="var(--etude-accent)" strokeWidth="2.5" transform="rotate(-90 9 9)"
          strokeDasharray={`${Math.max(0.02, Math.min(1, share)) * LENGTH} ${LENGTH}`}
        />
      </>}
    </svg>
  );
}

export function StepMark(props: StepMarkProps) {
  return (
    <span data-mark={props.mark} style={{ display: 'inline-flex', width: 18, height: 18, flex: 'none' }}>
      <Shape {...props} />
      <span className="hidden">{WORDS[props.mark]}</span>
    </span>
  );
}
