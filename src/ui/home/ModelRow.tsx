/** One model of a list: name, what is known of it, whether it fits; the whole row chooses it. */
import { chooseHub, useModel } from '../../stores/model.ts';
import { inspectHub } from '../../stores/hub.ts';
import type { ReactNode } from 'react';
import classes from './ModelShelf.module.css';

interface ModelRowProps { repo: string; about: ReactNode; side?: ReactNode; disabled?: boolean }

/** Choosing looks the model up on the hub, which tells its exact size before anything is downloaded. */
export function pickModel(repo: string): void {
  chooseHub({ repo });
  void inspectHub(repo);
}

export function ModelRow({ repo, about, side, disabled = false }: ModelRowProps) {
  const chosen = useModel((s) => s.choice === 'hub' && s.hub?.repo === repo);
  return (
    <li>
      <button type="button" className={classes.row} aria-pressed={chosen} disabled={disabled} onClick={() => pickModel(repo)} data-testid="model-row" data-repo={repo}>
        <span className={classes.name}>{repo}</span>
        {side && <span className={classes.side}>{side}</span>}
        <span className={classes.about}>{about}</span>
      </button>
    </li>
  );
}
