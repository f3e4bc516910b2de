/** Column 1: the built-in model, or a folder of one's own. */
import { Radio } from '@mantine/core';
import { useRef } from 'react';
import { BUILTIN_MODEL } from '../../config/builtin.ts';
import { useDevice } from '../../stores/device.ts';
import { cancelLoad, chooseModel, loadModel, setFolder, useModel } from '../../stores/model.ts';
import { runIsLive, useRun } from '../../stores/run.ts';
import type { ModelSummary } from '../../stores/types.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { ProgressRow } from '../components/ProgressRow.tsx';
import { formatBytes, formatCount, formatCountShort } from '../format.ts';
import { modelTitle, TEMPLATE_NAMES } from '../names.ts';
import { pickedFolder } from '../shell/dropped.ts';
import { Choice } from './Choice.tsx';
import { Column } from './Column.tsx';
import classes from './Home.module.css';

function ModelFacts({ model }: { model: ModelSummary }) {
  const template = model.hasChatTemplate ? 'its own chat template' : `none of its own; ${model.knownTemplates.map((t) => TEMPLATE_NAMES[t]).join(', ') || 'plain text'}`;
  return (
    <dl className={classes.facts} data-testid="model-facts">
      <div><dt>Loaded</dt><dd>{modelTitle(model)}, {model.architecture.replace('ForCausalLM', '')}, {formatCountShort(model.parameters)}</dd></div>
      <div><dt>Weights</dt><dd>{formatBytes(model.weightBytes)}, {model.dtype}{model.tiedEmbeddings ? ', tied embeddings' : ''}</dd></div>
      <div><dt>Template</dt><dd>{template}</dd></div>
      <div><dt>Context</dt><dd>{formatCount(model.maxPositionEmbeddings)} tokens</dd></div>
    </dl>
  );
}

export function ChooseModel({ next }: { next: boolean }) {
  const { choice, folder, status, summary, progress, startedAt, error } = useModel();
  const noDevice = useDevice((s) => s.status === 'failed');
  const training = useRun(runIsLive);
  const picker = useRef<HTMLInputElement>(null);
  const pick = () => picker.current?.click();

  const inUse = status === 'ready' && summary !== null && (choice === 'builtin' ? summary.source === 'builtin' : summary.source === 'folder' && summary.name === folder?.name);
  const label = inUse ? 'In use' : choice === 'builtin' ? 'Use built-in model' : folder ? `Use ${folder.name}` : 'Choose a folder';
  const caption = training ? 'A run is training on the model'
    : noDevice ? 'Needs a graphics adapter'
    : inUse ? `${formatBytes(summary.weightBytes)} on the GPU`
    : choice === 'builtin' ? 'Loads in about a second' : 'Read from your disk, never copied';

  return (
    <Column
      number={1} title="Choose a model" next={next} caption={caption}
      button={{
        label, testId: 'use-model', disabled: inUse || status === 'loading' || noDevice || training,
        onClick: () => { if (choice === 'folder' && !folder) pick(); else void loadModel(); },
      }}
    >
      <Radio.Group value={choice} onChange={(value) => chooseModel(value === 'folder' ? 'folder' : 'builtin')} aria-label="Base model">
        <Choice
          value="builtin" name={BUILTIN_MODEL.title} side={formatBytes(BUILTIN_MODEL.bytes)}
          about={`${formatCountShort(BUILTIN_MODEL.parameters)} parameters · already here`}
        />
        <Choice
          value="folder" name={folder?.name ?? 'A folder of your own'} onClick={() => { if (!folder) pick(); }}
          side={folder && formatBytes(folder.files.reduce((sum, f) => sum + f.size, 0))}
          about="config.json, tokenizer.json, safetensors"
        />
      </Radio.Group>
      {choice === 'folder' && folder && <button type="button" className={`link ${classes.more}`} onClick={pick}>Choose another folder</button>}
      {!summary && <p className={`caption ${classes.more}`}>Drop a model folder anywhere on this page. Download from the Hugging Face hub comes in a later version.</p>}
      <input
        ref={picker} type="file" hidden multiple {...{ webkitdirectory: '' }} aria-label="Model folder" data-testid="model-folder-input"
        onChange={(e) => {
          if (e.currentTarget.files?.length) setFolder(pickedFolder(e.currentTarget.files));
          e.currentTarget.value = '';
        }}
      />
      {status === 'loading' && <div className={classes.block}><ProgressRow name="Loading the model" progress={progress} startedAt={startedAt} onCancel={cancelLoad} /></div>}
      {error && <div className={classes.block}><ErrorPanel error={error} action={{ label: 'Try again', onClick: () => void loadModel() }} /></div>}
      {summary && <ModelFacts model={summary} />}
    </Column>
  );
}
