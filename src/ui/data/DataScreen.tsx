/** Step 2: which tokens are trained, the rows themselves, how fields map, and what was found in them. */
import { Button, SegmentedControl } from '@mantine/core';
import { useRef, useState } from 'react';
import { cancelImport, currentDataset, dismissDataError, importData, setDataView, useData, type DataView } from '../../stores/data.ts';
import { useRecipe } from '../../stores/recipe.ts';
import { goTo } from '../../stores/session.ts';
import type { DatasetSummary } from '../../stores/types.ts';
import { EmptyState } from '../components/EmptyState.tsx';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { ProgressRow } from '../components/ProgressRow.tsx';
import { ScreenHead } from '../components/ScreenHead.tsx';
import { formatBytes, plural } from '../format.ts';
import { datasetTitle, SHAPE_NAMES, TEMPLATE_NAMES } from '../names.ts';
import classes from './Data.module.css';
import { Advice } from './Advice.tsx';
import { DataFileInput, FORMATS } from './DataFileInput.tsx';
import { Findings } from './Findings.tsx';
import { Fixes } from './Fixes.tsx';
import { HubDataDialog } from './HubDataDialog.tsx';
import { ImportNotes } from './ImportNotes.tsx';
import { LengthHistogram } from './LengthHistogram.tsx';
import { MappingView } from './MappingView.tsx';
import { MaskView } from './MaskView.tsx';
import { OverlapView } from './OverlapView.tsx';
import { PasteDialog } from './PasteDialog.tsx';
import { Narrowed, RowNav } from './RowNav.tsx';
import { Edits } from './rows/Edits.tsx';
import { FileNotes } from './rows/FileNotes.tsx';
import { NewSetDialog } from './rows/NewSetDialog.tsx';
import { RowsView } from './rows/RowsView.tsx';
import { StoredDatasets } from './StoredDatasets.tsx';

const VIEWS = [{ value: 'mask', label: 'Mask' }, { value: 'table', label: 'Table' }, { value: 'mapping', label: 'Mapping' }, { value: 'overlap', label: 'Overlap' }];

function Loaded({ dataset }: { dataset: DatasetSummary }) {
  const view = useData((s) => s.view);
  return (
    <div className={classes.columns} data-view={view}>
      <div className={classes.main}>
        <div className={classes.tools} data-view-tools>
          <SegmentedControl data={VIEWS} value={view} onChange={(v) => setDataView(v as DataView)} aria-label="View of the data" className={classes.views} />
          {view === 'mask' && <RowNav dataset={dataset} />}
          {view === 'mask' && <Narrowed />}
        </div>
        {view === 'mask' && <MaskView dataset={dataset} />}
        {view === 'table' && <RowsView key={dataset.id} dataset={dataset} />}
        {view === 'mapping' && <MappingView key={dataset.id} dataset={dataset} />}
        {view === 'overlap' && <OverlapView key={dataset.id} dataset={dataset} />}
      </div>
      <aside className={classes.side} aria-label="About this data">
        <Findings dataset={dataset} />
        <FileNotes dataset={dataset} />
        <Edits dataset={dataset} />
        <Fixes dataset={dataset} />
        <Advice />
        <LengthHistogram />
        <StoredDatasets />
      </aside>
    </div>
  );
}

function useFacts(dataset: DatasetSummary | null): string {
  const template = useRecipe((s) => s.recipe.data.template);
  if (!dataset) return 'Rows of questions and answers, or whole conversations.';
  return [datasetTitle(dataset), plural(dataset.rows, 'row'), formatBytes(dataset.bytes), `${SHAPE_NAMES[dataset.mapping.shape]}, rendered ${template === 'model' ? 'with' : 'as'} ${TEMPLATE_NAMES[template]}`].join(' · ');
}

export default function DataScreen() {
  const dataset = useData(currentDataset);
  const importing = useData((s) => s.importing);
  const error = useData((s) => s.error);
  const [pasting, setPasting] = useState(false);
  const [naming, setNaming] = useState(false);
  const [fromHub, setFromHub] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const pick = () => picker.current?.click();
  const facts = useFacts(dataset);
  return (
    <>
      <ScreenHead
        title="Data" facts={facts}
        actions={dataset && <>
          <Button onClick={() => setPasting(true)} aria-label="Paste or type rows">Paste</Button>
          <Button onClick={() => setFromHub(true)} aria-label="Data from the hub">Hub</Button>
          <Button onClick={pick} data-testid="replace-data">Replace</Button>
          <Button variant="filled" onClick={() => goTo('recipe')}>Continue to Recipe</Button>
        </>}
      />
      <DataFileInput picker={picker} />
      {fromHub && <HubDataDialog onClose={() => setFromHub(false)} />}
      <ImportNotes />
      {pasting && <PasteDialog onClose={() => setPasting(false)} onNewSet={() => setNaming(true)} />}
      {naming && <NewSetDialog onClose={() => setNaming(false)} />}
      {importing && <div className={classes.block}><ProgressRow name={importing.name} progress={importing.progress} startedAt={importing.startedAt} onCancel={cancelImport} /></div>}
      {error && <div className={classes.block}><ErrorPanel error={error} action={{ label: 'Choose another file', onClick: pick }} onDismiss={dismissDataError} /></div>}
      {dataset ? <Loaded dataset={dataset} /> : !importing && (
        <div className={classes.empty}>
          <EmptyState
            title="No data yet" action={{ label: 'Browse for a file', onClick: pick }}
            extra={<p className={classes.ways}>
              <button type="button" className="link" onClick={() => setFromHub(true)}>From the hub</button>{' '}
              <button type="button" className="link" onClick={() => setPasting(true)}>Paste or type rows</button>{' '}
              <button type="button" className="link" onClick={() => setNaming(true)}>New empty set</button>{' '}
              <button type="button" className="link" onClick={() => void importData({ kind: 'builtin' })}>Use built-in data</button>
            </p>}
          >
            Drop files anywhere on this page: {FORMATS}. Alpaca rows, prompt and completion, chat messages, ShareGPT, question and answer, preference pairs and plain text are recognised.
          </EmptyState>
          <StoredDatasets />
        </div>
      )}
    </>
  );
}
