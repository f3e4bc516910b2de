/** Column 2: drop a file, take the built-in data, or go on with a stored dataset. */
import { Radio } from '@mantine/core';
import { useRef, useState } from 'react';
import { BUILTIN_DATA } from '../../config/builtin.ts';
import { cancelImport, currentDataset, dismissDataError, importData, selectDataset, useData } from '../../stores/data.ts';
import { goTo } from '../../stores/session.ts';
import type { DatasetSummary } from '../../stores/types.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { ProgressRow } from '../components/ProgressRow.tsx';
import { formatBytes, formatDate, plural } from '../format.ts';
import { datasetTitle, SHAPE_NAMES } from '../names.ts';
import { DataFileInput, FORMATS } from '../data/DataFileInput.tsx';
import { HubDataDialog } from '../data/HubDataDialog.tsx';
import { ImportNotes } from '../data/ImportNotes.tsx';
import { PasteDialog } from '../data/PasteDialog.tsx';
import { NewSetDialog } from '../data/rows/NewSetDialog.tsx';
import { Choice } from './Choice.tsx';
import { Column } from './Column.tsx';
import classes from './Home.module.css';

/** The three newest files that are stored; the rest are on the Data step. */
const storedFiles = (all: DatasetSummary[] | null): DatasetSummary[] => (all ?? []).filter((d) => d.source !== 'builtin').slice(0, 3);

export function ChooseData({ next }: { next: boolean }) {
  const datasets = useData((s) => s.datasets);
  const current = useData(currentDataset);
  const importing = useData((s) => s.importing);
  const error = useData((s) => s.error);
  const [choice, setChoice] = useState<string>(current && current.source !== 'builtin' ? current.id : 'builtin');
  const [pasting, setPasting] = useState(false);
  const [fromHub, setFromHub] = useState(false);
  const [naming, setNaming] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const pick = () => picker.current?.click();
  const stored = storedFiles(datasets);
  const chosen = stored.find((d) => d.id === choice);
  const inUse = current !== null && (choice === 'builtin' ? current.source === 'builtin' : current.id === choice);

  const use = () => {
    if (choice === 'browse') pick();
    else if (chosen) selectDataset(chosen.id);
    else void importData({ kind: 'builtin' });
  };
  const label = inUse ? 'In use' : choice === 'browse' ? 'Browse for a file' : chosen ? `Use ${chosen.name}` : 'Use built-in data';

  return (
    <Column
      number={2} title="Choose data" next={next}
      caption={inUse ? <button type="button" className="link" onClick={() => goTo('data')}>See which tokens are trained</button> : 'Checked for common faults on import'}
      button={{ label, onClick: use, testId: 'use-data', disabled: inUse || importing !== null }}
    >
      <button type="button" className={classes.drop} onClick={pick} data-testid="drop-zone">
        <span>Drop files anywhere on this page</span>
        <span className="caption">{FORMATS}</span>
      </button>
      <Radio.Group value={choice} onChange={setChoice} aria-label="Data">
        <Choice
          value="builtin" name={BUILTIN_DATA.title} side={formatBytes(BUILTIN_DATA.bytes)}
          about={`${plural(BUILTIN_DATA.rows, 'question')} answered in one sentence`}
        />
        {stored.map((d) => (
          <Choice key={d.id} value={d.id} name={datasetTitle(d)} side={formatBytes(d.bytes)} about={`${plural(d.rows, 'row')} · ${SHAPE_NAMES[d.mapping.shape]} · ${formatDate(d.createdAt)}`} />
        ))}
        <Choice value="browse" name="Browse for a file" about="Format and columns are detected" onClick={pick} />
      </Radio.Group>
      <ImportNotes />
      <p className={classes.otherWays}>
        <button type="button" className="link" onClick={() => setFromHub(true)} data-testid="data-from-hub">From the hub</button>
        <button type="button" className="link" onClick={() => setPasting(true)}>Paste or type rows</button>
        <button type="button" className="link" onClick={() => setNaming(true)}>New empty set</button>
      </p>
      <DataFileInput picker={picker} />
      {fromHub && <HubDataDialog onClose={() => setFromHub(false)} />}
      {pasting && <PasteDialog onClose={() => setPasting(false)} onNewSet={() => setNaming(true)} />}
      {naming && <NewSetDialog onClose={() => setNaming(false)} />}
      {importing && <div className={classes.block}><ProgressRow name={importing.name} progress={importing.progress} startedAt={importing.startedAt} onCancel={cancelImport} /></div>}
      {error && <div className={classes.block}><ErrorPanel error={error} action={{ label: 'Choose another file', onClick: pick }} onDismiss={dismissDataError} /></div>}
    </Column>
  );
}
