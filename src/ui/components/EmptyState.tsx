/** What will be here, and the one button that brings it. */
import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import classes from './EmptyState.module.css';

interface EmptyStateProps { title: string; children: ReactNode; action?: { label: string; onClick: () => void } | undefined; extra?: ReactNode }

export function EmptyState({ title, children, action, extra }: EmptyStateProps) {
  return (
    <div className={classes.box} data-testid="empty-state">
      <h2>{title}</h2>
      <p className="dim">{children}</p>
      {(action || extra) && <div className={classes.actions}>{action && <Button onClick={action.onClick}>{action.label}</Button>}{extra}</div>}
    </div>
  );
}
