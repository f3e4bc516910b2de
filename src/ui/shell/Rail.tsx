/** The six steps in the order people think, and Runs below them: a rail on a desktop, a bottom bar on a phone. */
import { Tooltip } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useRuns } from '../../stores/runs.ts';
import { goTo, STEPS, useSession, type Place } from '../../stores/session.ts';
import { RunsMark } from '../components/Logo.tsx';
import { StepMark } from '../components/StepMark.tsx';
import { PLACE_NAMES } from './placeNames.ts';
import { runsLine } from './stepStates.ts';
import classes from './Rail.module.css';
import { useStepStates } from './useStepStates.ts';

interface RailLinkProps { to: Place; line: string; mark: React.ReactNode; narrow: boolean }

function RailLink({ to, line, mark, narrow }: RailLinkProps) {
  const here = useSession((s) => s.place === to);
  return (
    <li className={classes.step}>
      <Tooltip label={`${PLACE_NAMES[to]}: ${line}`} position="right" disabled={!narrow}>
        <a
          href={`#/${to}`} className={classes.link} aria-current={here ? 'step' : undefined} data-testid={`step-${to}`}
          onClick={(e) => { e.preventDefault(); goTo(to); }}
        >
          {mark}
          <span className={classes.words}>
            <span className={classes.name}>{PLACE_NAMES[to]}</span>
            <span className={classes.line}>{line}</span>
          </span>
        </a>
      </Tooltip>
    </li>
  );
}

export function Rail() {
  const states = useStepStates();
  const runs = useRuns((s) => s.runs);
  const narrow = useMediaQuery('(min-width: 640px) and (max-width: 999px)', false, { getInitialValueInEffect: false }) ?? false;
  return (
    <nav className={classes.rail} aria-label="Steps">
      <ol className={classes.steps}>
        {STEPS.map((step) => (
          <RailLink
            key={step} to={step} line={states[step].line} narrow={narrow}
            mark={<StepMark mark={states[step].mark} {...(states[step].share === undefined ? {} : { share: states[step].share })} />}
          />
        ))}
      </ol>
      <ul className={classes.runs}>
        <RailLink to="runs" line={runsLine(runs)} narrow={narrow} mark={<span className={classes.runsMark}><RunsMark /></span>} />
      </ul>
      <p className={classes.promise}>Nothing leaves this computer.</p>
    </nav>
  );
}
