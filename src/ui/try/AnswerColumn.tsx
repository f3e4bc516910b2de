/** One side: who answers, the answer as it comes, and how it ended. */
import { useChat, type Side, type Which } from '../../stores/chat.ts';
import { useTuned } from '../../stores/tuned.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { formatSig, formatWhole, plural } from '../format.ts';
import classes from './Try.module.css';

const ENDS = { eos: 'Ended by itself', length: 'Reached the maximum', user: 'Stopped' } as const;

function facts(side: Side): string[] {
  if (side.status === 'empty') return [];
  return [
    side.status === 'streaming' ? `${formatWhole(side.tokens)} tokens so far` : plural(side.tokens, 'token'),
    side.tokensPerSecond === null ? '' : `${formatSig(side.tokensPerSecond)} tokens/s`,
    side.stoppedBy ? ENDS[side.stoppedBy] : '',
  ].filter(Boolean);
}

export function AnswerColumn({ which }: { which: Which }) {
  const side = useChat((s) => s[which]);
  const tuned = useTuned((s) => s.tuned);
  const about = which === 'base' ? 'adapter off' : tuned?.step !== null && tuned !== null ? `step ${formatWhole(tuned.step)}` : tuned?.name ?? '';
  const streaming = side.status === 'streaming';
  return (
    <section className={classes.answer} data-which={which} data-testid={`answer-${which}`} data-status={side.status} aria-label={which === 'base' ? 'Answer of the base model' : 'Answer of the tuned model'}>
      <h2>{which === 'base' ? 'Base' : 'Tuned'} <span className="caption">{about}</span></h2>
      {side.error
        ? <ErrorPanel error={side.error} />
        : (
          <p className={classes.text} aria-busy={streaming}>
            <span data-testid={`text-${which}`}>{side.text}</span>
            {streaming && <span className={classes.caret} aria-hidden="true" />}
            {side.status === 'empty' && <span className="faint">The answer comes here.</span>}
            {side.status === 'done' && !side.text && <span className="faint">Nothing: the first token already ended the answer.</span>}
          </p>
        )}
      <p className={classes.stats}>{facts(side).map((f) => <span key={f}>{f}</span>)}</p>
    </section>
  );
}
