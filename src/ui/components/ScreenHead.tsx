/** Head of every screen: title, one line of facts, actions right with the primary last. The title takes the focus on a visit. */
import { useEffect, useRef, type ReactNode } from 'react';
import { useSession } from '../../stores/session.ts';
import classes from './ScreenHead.module.css';

interface ScreenHeadProps { title: string; facts?: ReactNode; actions?: ReactNode; reason?: string | null }

/** Focuses a heading when its step is opened, not when the page is. */
export function useHeadingFocus() {
  const heading = useRef<HTMLHeadingElement>(null);
  const visit = useSession((s) => s.visit);
  useEffect(() => {
    if (visit > 0) heading.current?.focus({ preventScroll: true });
  }, [visit]);
  return heading;
}

export function ScreenHead({ title, facts, actions, reason }: ScreenHeadProps) {
  const heading = useHeadingFocus();
  return (
    <header className={classes.head}>
      <div className={classes.words}>
        <h1 ref={heading} tabIndex={-1} className={classes.title}>{title}</h1>
        {facts && <p className={classes.facts}>{facts}</p>}
      </div>
      {actions && (
        <div className={classes.side}>
          <div className={classes.actions}>{actions}</div>
          {reason && <p className="caption" data-testid="reason">{reason}</p>}
        </div>
      )}
    </header>
  );
}
