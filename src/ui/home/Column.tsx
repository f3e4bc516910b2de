/** One of the three columns: number, title, what is chosen, one button with a word of explanation beneath. */
import { Button } from '@mantine/core';
import { useId, type ReactNode } from 'react';
import classes from './Home.module.css';

interface ColumnProps {
  number: number;
  title: string;
  /** The column whose button moves on. */
  next: boolean;
  children: ReactNode;
  button: { label: string; onClick: () => void; disabled?: boolean; testId: string };
  caption: ReactNode;
}

export function Column({ number, title, next, children, button, caption }: ColumnProps) {
  const id = useId();
  return (
    <section className={classes.column} data-next={next || undefined} aria-labelledby={id}>
      <p className={classes.number} aria-hidden="true">{number}</p>
      <h2 id={id}>{title}</h2>
      <div className={classes.choices}>{children}</div>
      <Button
        fullWidth h={40} variant={next && !button.disabled ? 'filled' : 'default'} disabled={button.disabled ?? false}
        onClick={button.onClick} data-testid={button.testId}
      >
        {button.label}
      </Button>
      <p className={`caption ${classes.under}`}>{caption}</p>
    </section>
  );
}
