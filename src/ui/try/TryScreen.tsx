/** Step 5: one prompt, base and tuned side by side from the same model. */
import { Button } from '@mantine/core';
import { useCallback, useEffect } from 'react';
import { loadHeldOut, stopChat, useChat } from '../../stores/chat.ts';
import { useData } from '../../stores/data.ts';
import { dismissImportError, useExport } from '../../stores/exporting.ts';
import { chooseModel, loadModel, useModel } from '../../stores/model.ts';
import { goTo } from '../../stores/session.ts';
import { useTuned } from '../../stores/tuned.ts';
import { EmptyState } from '../components/EmptyState.tsx';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { ScreenHead } from '../components/ScreenHead.tsx';
import { useSingleKeys } from '../shell/useShortcuts.ts';
import { AnswerColumn } from './AnswerColumn.tsx';
import { Imported } from './Imported.tsx';
import { OpenAdapter } from './OpenAdapter.tsx';
import { PromptBox } from './PromptBox.tsx';
import { SamplingControls } from './SamplingControls.tsx';
import classes from './Try.module.css';

function Reference() {
  const heldOut = useChat((s) => s.heldOut);
  if (!heldOut?.reference) return null;
  return (
    <section className={classes.reference} data-testid="reference-answer">
      <h2>Reference answer</h2>
      <span className="caption">{heldOut.index === null ? 'from the held-out questions, never trained on' : 'from your file, never trained on'}</span>
      <p>{heldOut.reference}</p>
    </section>
  );
}

function NeedsModel() {
  const loading = useModel((s) => s.status === 'loading');
  return (
    <EmptyState title="No model in memory" action={loading ? undefined : { label: 'Use built-in model', onClick: () => { chooseModel('builtin'); void loadModel(); } }}>
      {loading ? 'The model is loading.' : 'Load the base model to ask it something; a finished run from Runs, or an adapter from files, gives the tuned side.'}
    </EmptyState>
  );
}

export default function TryScreen() {
  const ready = useModel((s) => s.status === 'ready');
  const tuned = useTuned((s) => s.tuned);
  const importError = useExport((s) => s.importError);
  const datasetId = useData((s) => s.currentId);
  const noPrompts = useChat((s) => s.prompts.length === 0);
  useEffect(() => { if (datasetId && noPrompts) void loadHeldOut(); }, [datasetId, noPrompts]);
  useSingleKeys(useCallback((key) => {
    if (key !== 'Escape') return false;
    stopChat();
    return true;
  }, []));
  return (
    <>
      <ScreenHead
        title="Try" facts="One model in memory, adapter off and on. Same prompt, same seed; each prompt is a new conversation."
        actions={tuned && <Button variant="filled" onClick={() => goTo('export')} data-testid="continue-export">Continue to Export</Button>}
      />
      {importError && <div className={classes.block}><ErrorPanel error={importError} onDismiss={dismissImportError} /></div>}
      {!ready ? <NeedsModel /> : (
        <>
          <Imported />
          <PromptBox />
          <SamplingControls />
          <div className={classes.columns}>
            <AnswerColumn which="base" />
            {tuned ? <AnswerColumn which="tuned" /> : <OpenAdapter />}
          </div>
          <Reference />
        </>
      )}
    </>
  );
}
