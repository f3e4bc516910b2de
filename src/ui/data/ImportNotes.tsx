/** What is still to be said of data on its way in: several files joined or kept apart, and the data a shared recipe was made for. */
import { Button } from '@mantine/core';
import { useState } from 'react';
import { joinFiles, useData } from '../../stores/data.ts';
import { forgetExpected, useExpected } from '../../stores/expected.ts';
import { plural } from '../format.ts';
import { HubDataDialog } from './HubDataDialog.tsx';
import classes from './HubData.module.css';

/** Files that came in together, as what they are and as what they could be. */
function Together() {
  const together = useData((s) => s.together);
  const training = useData((s) => s.importing !== null);
  if (!together) return null;
  const { files, ids } = together;
  const shown = files.slice(0, 3).map((file) => file.name).join(', ') + (files.length > 3 ? ` and ${files.length - 3} more` : '');
  return (
    <div className={classes.note} data-testid="together">
      <p>{shown} became {ids.length === 1 ? 'one dataset' : plural(ids.length, 'dataset')}.{ids.length > 1 ? ' Only the one in use is trained.' : ''}</p>
      {ids.length > 1 && <Button size="xs" disabled={training} onClick={() => void joinFiles('one')}>Join them into one</Button>}
      {ids.length < files.length && <Button size="xs" disabled={training} onClick={() => void joinFiles('each')}>Keep each apart</Button>}
    </div>
  );
}

function Expected() {
  const { dataset, note } = useExpected();
  const [open, setOpen] = useState(false);
  if (!dataset && note === null) return null;
  return (
    <div className={classes.note} role="status" data-testid="expected-data">
      <p>
        {note ?? `The shared recipe was made for ${dataset?.name}${dataset?.split ? ` (${dataset.split})` : ''}${dataset?.source === 'hub' ? ' of the hub.' : `. Drop that file${dataset?.mapping ? ', and its fields are mapped as the recipe says.' : ' to use it.'}`}`}
      </p>
      {dataset?.source === 'hub' && <Button size="xs" onClick={() => setOpen(true)} data-testid="expected-get">Look at it</Button>}
      <Button size="xs" variant="subtle" onClick={forgetExpected}>Dismiss</Button>
      {open && <HubDataDialog onClose={() => setOpen(false)} />}
    </div>
  );
}

export const ImportNotes = () => <><Expected /><Together /></>;
