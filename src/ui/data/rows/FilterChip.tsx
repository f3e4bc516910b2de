/** One condition as a small button that says what it narrows to, with its choices in a popover. */
import { Button, Popover } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import { IconChevronDown } from '../../icons.ts';
import classes from './Rows.module.css';

interface FilterChipProps {
  label: string;
  /** What it narrows to; null where it narrows nothing. */
  value: string | null;
  onClear: () => void;
  children: ReactNode;
}

export function FilterChip({ label, value, onClear, children }: FilterChipProps) {
  const [opened, setOpened] = useState(false);
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-start" trapFocus returnFocus shadow="sm">
      <Popover.Target>
        <Button size="xs" className={classes.chip} data-on={value !== null || undefined} rightSection={<IconChevronDown size={14} />} onClick={() => setOpened(!opened)}>
          <span className={classes.chipText}>{label}{value !== null && <>: {value}</>}</span>
        </Button>
      </Popover.Target>
      <Popover.Dropdown className={classes.choices} aria-label={`Filter by ${label.toLowerCase()}`}>
        {children}
        <div className={classes.choicesEnd}>
          <Button size="xs" variant="subtle" disabled={value === null} onClick={() => { onClear(); setOpened(false); }}>Clear</Button>
          <Button size="xs" onClick={() => setOpened(false)}>Done</Button>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
