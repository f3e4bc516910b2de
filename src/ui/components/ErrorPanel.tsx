/** A failure where its result would be: what happened, what was expected, the likely cause, and the next step as a button. */
import { Button } from '@mantine/core';
import type { UserMessage } from '../../config/errors.ts';
import { IconAlertOctagon } from '../icons.ts';
import { useCopied } from './useCopied.ts';
import classes from './ErrorPanel.module.css';

interface ErrorPanelProps {
  error: UserMessage;
  /** Does what `nextStep` says, or what the label says instead. */
  action?: { label?: string; onClick: () => void } | undefined;
  /** Further ways out, each one setting. */
  remedies?: readonly { label: string; apply: () => void }[];
  onDismiss?: (() => void) | undefined;
}

const details = (error: UserMessage): string => [
  error.what,
  error.expected && `Expected: ${error.expected}`,
  error.likelyCause && `Likely cause: ${error.likelyCause}`,
  error.nextStep && `Next step: ${error.nextStep}`,
  `Code: ${error.code}`,
  `Browser: ${navigator.userAgent}`,
].filter(Boolean).join('\n');

const Fact = ({ name, value }: { name: string; value: string | undefined }) => value
  ? <div className={classes.fact}><dt>{name}</dt><dd>{value}</dd></div>
  : null;

export function ErrorPanel({ error, action, remedies, onDismiss }: ErrorPanelProps) {
  const [copied, copy] = useCopied();
  // A long instruction is a sentence, a short one is the button itself.
  const label = action ? action.label ?? (error.nextStep && error.nextStep.length <= 36 ? error.nextStep.replace(/\.$/, '') : 'Try again') : null;
  return (
    <div role="alert" className={classes.panel} data-testid="error-panel" data-code={error.code}>
      <IconAlertOctagon size={18} stroke={1.9} className={classes.icon} aria-hidden="true" />
      <div className={classes.body}>
        <p className={classes.title}>{error.what}</p>
        <dl className={classes.facts}>
          <Fact name="Expected" value={error.expected} />
          <Fact name="Likely cause" value={error.likelyCause} />
          <Fact name="Next step" value={label === error.nextStep?.replace(/\.$/, '') ? undefined : error.nextStep} />
        </dl>
        <div className={classes.actions}>
          {action && <Button size="xs" onClick={action.onClick}>{label}</Button>}
          {remedies?.map((remedy) => <Button key={remedy.label} size="xs" onClick={remedy.apply} data-testid="remedy">{remedy.label}</Button>)}
          <Button size="xs" variant="subtle" onClick={() => copy(details(error))}>{copied ? 'Copied' : 'Copy details'}</Button>
          {onDismiss && <Button size="xs" variant="subtle" onClick={onDismiss}>Dismiss</Button>}
        </div>
      </div>
    </div>
  );
}
