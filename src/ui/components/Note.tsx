/** An alert in words: icon, one bold sentence with the number, one of cause or advice, one button that does it. */
import { ActionIcon, Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { IconAlertOctagon, IconAlertTriangle, IconInfoCircle, IconX } from '../icons.ts';
import classes from './Note.module.css';

const ICONS = { notice: IconInfoCircle, warning: IconAlertTriangle, error: IconAlertOctagon } as const;
const WORDS = { notice: 'Notice', warning: 'Warning', error: 'Error' } as const;

interface NoteProps {
  kind: keyof typeof ICONS;
  title: ReactNode;
  children?: ReactNode;
  action?: { label: string; onClick: () => void } | undefined;
  onDismiss?: (() => void) | undefined;
  testId?: string;
}

export function Note({ kind, title, children, action, onDismiss, testId }: NoteProps) {
  const Icon = ICONS[kind];
  return (
    <div className={classes.note} data-kind={kind} data-testid={testId}>
      <Icon size={18} stroke={1.9} className={classes.icon} aria-hidden="true" />
      <div className={classes.words}>
        <p className={classes.title}><span className="hidden">{WORDS[kind]}: </span>{title}</p>
        {children && <p>{children}</p>}
      </div>
      {action && <Button size="xs" onClick={action.onClick}>{action.label}</Button>}
      {onDismiss && (
        <ActionIcon variant="transparent" size={28} aria-label="Dismiss" onClick={onDismiss} className={classes.dismiss}><IconX size={16} /></ActionIcon>
      )}
    </div>
  );
}
