/** Step 6: the files, each with its check; the zip; three lines that load it. */
import { Button } from '@mantine/core';
import { useEffect } from 'react';
import { loadSnippet } from '../../config/loadSnippet.ts';
import { buildExport, useExport } from '../../stores/exporting.ts';
import { useModel } from '../../stores/model.ts';
import { useRecipe } from '../../stores/recipe.ts';
import { useRun } from '../../stores/run.ts';
import { goTo } from '../../stores/session.ts';
import { linkFor } from '../../stores/share.ts';
import { useTuned } from '../../stores/tuned.ts';
import type { ExportResult } from '../../stores/types.ts';
import { EmptyState } from '../components/EmptyState.tsx';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { Note } from '../components/Note.tsx';
import { ScreenHead } from '../components/ScreenHead.tsx';
import { useCopied } from '../components/useCopied.ts';
import { formatBytes, formatWhole } from '../format.ts';
import { IconCopy, IconDownload } from '../icons.ts';
import { download } from '../components/download.ts';
import { FileChecks } from './FileChecks.tsx';
import classes from './Export.module.css';
import { baseFolder, folderOf } from './python.ts';

/** Strings in the accent, as a person reading code expects. */
const Coloured = ({ line }: { line: string }) => {
  const parts = line.split(/("[^"]*")/);
  // oxlint-disable-next-line react/no-array-index-key -- the parts of a line never move
  return <>{parts.map((part, i) => (part.startsWith('"') ? <span key={i} className={classes.string}>{part}</span> : part))}</>;
};

function UseInPython({ result }: { result: ExportResult }) {
  const model = useModel((s) => s.summary);
  const [copied, copy] = useCopied();
  if (!model) return null;
  const lines = loadSnippet(baseFolder(model), `./${folderOf(result.fileName)}`, model.revision).split('\n');
  return (
    <section className={classes.python}>
      <div className={classes.pythonHead}>
        <h2>Use it in Python</h2>
        <Button size="xs" variant="subtle" leftSection={<IconCopy size={16} stroke={1.75} />} onClick={() => copy(`${lines.join('\n')}\n`)}>{copied ? 'Copied' : 'Copy'}</Button>
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- scrolls sideways, so it must take the keyboard */}
      <pre className={classes.code} tabIndex={0} role="region" aria-label="Python lines"><code>{lines.map((line) => <span key={line}><Coloured line={line} />{'\n'}</span>)}</code></pre>
      {model.source !== 'hub' && <p className="caption">{model.source === 'builtin' ? 'The base model is the folder builtin/model of this site; the README in the zip says how to get it.' : 'The first name is the folder of your base model.'}</p>}
    </section>
  );
}

/** The link to the recipe behind the adapter, which may not be the one under the hand. */
function CopyLink() {
  const run = useRun((s) => s.run);
  const tuned = useTuned((s) => s.tuned);
  const recipe = useRecipe((s) => s.recipe);
  const [copied, copy] = useCopied();
  return <Button onClick={() => copy(linkFor(run && run.id === tuned?.runId ? run.recipe : recipe))} data-testid="copy-link">{copied ? 'Link copied' : 'Copy link'}</Button>;
}

function Empty() {
  const training = useRun((s) => s.status === 'running' || s.status === 'starting');
  return (
    <EmptyState title="No adapter yet" action={{ label: training ? 'Go to Train' : 'Go to Recipe', onClick: () => goTo(training ? 'train' : 'recipe') }}
      extra={<button type="button" className="link" onClick={() => goTo('runs')}>Past runs</button>}
    >
      When a run has finished or was stopped, its adapter is written here file by file, read back and compared before you get it.
    </EmptyState>
  );
}

export default function ExportScreen() {
  const { status, result, error } = useExport();
  const tuned = useTuned((s) => s.tuned);
  const version = useTuned((s) => s.version);
  const builtVersion = useExport((s) => s.version);
  const live = useRun((s) => s.status === 'running' || s.status === 'starting');
  const wanted = tuned !== null && !live && (status === 'idle' || builtVersion !== version);
  useEffect(() => { if (wanted) void buildExport(); }, [wanted]);
  const made = tuned?.runId === null;
  const from = tuned ? made ? `Adapter ${tuned.name}, made elsewhere, in PEFT’s plain form.` : (tuned.step === null ? `Adapter ${tuned.name}.` : `Adapter from step ${formatWhole(tuned.step)}.`) : '';
  return (
    <>
      <ScreenHead
        title="Export" facts={`${from} Each file is read back and compared before you get it.`.trim()}
        reason={result && !result.ok ? 'A check has failed, so there is no download' : null}
        actions={tuned && <>
          {!made && <CopyLink />}
          <Button variant="filled" leftSection={<IconDownload size={16} stroke={1.75} />} disabled={!result?.ok} onClick={() => result && download({ blob: result.zip, fileName: result.fileName })} data-testid="download-zip">
            {result ? `Download zip, ${formatBytes(result.zip.size)}` : 'Download zip'}
          </Button>
        </>}
      />
      {!tuned && <Empty />}
      {status === 'failed' && error && <div className={classes.block}><ErrorPanel error={error} action={{ label: 'Check again', onClick: () => void buildExport() }} /></div>}
      {status === 'building' && <p className="dim" data-testid="export-building">Writing the files, reading them back and comparing logits.</p>}
      {result && !result.ok && <div className={classes.block}><Note kind="error" title="A check has failed.">The files differ from the model in memory. Nothing is offered for download; the details below say where.</Note></div>}
      {result && <FileChecks checks={result.checks} />}
      {result && <UseInPython result={result} />}
    </>
  );
}
