/** Text in any field of a row. What is found is counted while the search goes on. */
import { ActionIcon, TextInput } from '@mantine/core';
import { typeSearch, useRows } from '../../../stores/rowView.ts';
import { IconSearch, IconX } from '../../icons.ts';
import classes from './Rows.module.css';

export function SearchBox() {
  const search = useRows((s) => s.view.search);
  return (
    <TextInput
      type="search" aria-label="Search all rows" placeholder="Search all rows" className={classes.search} value={search} onChange={(e) => typeSearch(e.currentTarget.value)}
      leftSection={<IconSearch size={16} />} spellCheck={false} data-testid="row-search"
      rightSection={search !== '' && <ActionIcon variant="transparent" size={28} aria-label="Clear the search" onClick={() => typeSearch('')}><IconX size={16} /></ActionIcon>}
      onKeyDown={(e) => { if (e.key === 'Escape' && search !== '') { e.preventDefault(); typeSearch(''); } }}
    />
  );
}
