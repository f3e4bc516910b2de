/** One line of a choice: radio, name, size at the right, a word about it below. */
import { Radio } from '@mantine/core';
import type { ReactNode } from 'react';
import classes from './Home.module.css';

interface ChoiceProps { value: string; name: string; side?: ReactNode; about: ReactNode; onClick?: () => void; disabled?: boolean }

export function Choice({ value, name, side, about, onClick, disabled = false }: ChoiceProps) {
  return (
    <div className={classes.choice}>
      <Radio
        value={value} disabled={disabled} {...(onClick ? { onClick } : {})} size="xs" label={name} description={about}
        classNames={{ label: classes.choiceName!, description: classes.choiceAbout!, body: classes.choiceBody!, radio: classes.radio! }}
      />
      {side && <span className={classes.side}>{side}</span>}
    </div>
  );
}
