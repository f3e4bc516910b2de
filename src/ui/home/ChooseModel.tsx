/** Column 1: the built-in model, two that people know, whatever else was picked from the shelf below, or a folder of one's own. */
import { Radio, SegmentedControl } from '@mantine/core';
import { useRef } from 'react';
import { BUILTIN_MODEL } from '../../config/builtin.ts';
import { CURATED_MODELS } from '../../config/curatedModels.ts';
import { useDevice } from '../../stores/device.ts';
import { cachedOf, useHub } from '../../stores/hub.ts';
import { cancelLoad, chooseModel, loadModel, setFolder, setQuantization, useModel } from '../../stores/model.ts';
import { remediesIn } from '../../stores/remedies.ts';
import { runIsLive, useRun } from '../../stores/run.ts';
import type { ModelSummary } from '../../stores/types.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { ProgressRow } from '../components/ProgressRow.tsx';
import { formatBytes, formatCount, formatCountShort } from '../format.ts';
import type { Quantization } from '../../config/recipe.ts';
import { modelTitle, QUANTIZATION_NAMES, QUANTIZATION_WORDS, TEMPLATE_NAMES } from '../names.ts';
import { pickedFolder } from '../shell/dropped.ts';
import { Choice } from './Choice.tsx';
import { fitOf } from './fits.ts';
import { HubFacts } from './HubFacts.tsx';
import { focusToken } from './TokenForm.tsx';
import { pickModel } from './ModelRow.tsx';
import { cachedWords, facts, licenceName } from './words.ts';
import { Column } from './Column.tsx';
import classes from './Home.module.css';

function ModelFacts({ model }: { model: ModelSummary }) {
  const template = model.hasChatTemplate ? 'its own chat template' : `none of its own; ${model.knownTemplates.map((t) => TEMPLATE_NAMES[t]).join(', ') || 'plain text'}`;
  return (
    <dl className={classes.facts} data-testid="model-facts">
      <div><dt>Loaded</dt><dd title={model.name}>{modelTitle(model)}, {model.architecture.replace('ForCausalLM', '')}, {formatCountShort(model.parameters)}</dd></div>
      <div><dt>Weights</dt><dd>{formatBytes(model.weightBytes)}, {model.quantization === 'none' ? model.dtype : `${QUANTIZATION_NAMES[model.quantization]} from ${model.dtype}`}{model.tiedEmbeddings ? ', tied embeddings' : ''}</dd></div>
      <div><dt>Template</dt><dd>{template}</dd></div>
      {model.revision && <div><dt>Revision</dt><dd>{model.revision.slice(0, 7)}</dd></div>}
      <div><dt>Context</dt><dd>{formatCount(model.maxPositionEmbeddings)} tokens</dd></div>
    </dl>
  );
}

/** In the column from the start; all others are on the shelf. */
const SHOWN = ['HuggingFaceTB/SmolLM2-135M-Instruct', 'Qwen/Qwen3-0.6B'];

function HubChoice({ repo }: { repo: string }) {
  const limit = useDevice((s) => s.info?.memoryBudget ?? null);
  const cached = useHub((s) => cachedOf(s, repo));
  const known = CURATED_MODELS.find((model) => model.repo === repo);
  const about = known
    ? facts(`${formatCountShort(known.parameters)} parameters`, licenceName(known.licence), known.gated && 'gated', cachedWords(cached), fitOf(2 * known.parameters, null, limit)?.word)
    : facts('From the Hugging Face hub', cachedWords(cached));
  return <Choice value={`hub:${repo}`} name={known?.title ?? repo} side={known && formatBytes(known.bytes)} about={about} />;
}

/** How large the weights lie on the GPU; said with what it costs. */
function WeightsChoice() {
  const quantization = useModel((s) => s.quantization);
  return (
    <div className={classes.block} data-testid="quantization">
      <p className={classes.label}>Weights on the GPU</p>
      <SegmentedControl
        fullWidth data={[{ value: 'none', label: 'As stored' }, { value: 'int8', label: 'int8' }, { value: 'nf4', label: '4-bit' }]}
        value={quantization} onChange={(value) => setQuantization(value as Quantization)} aria-label="Weights on the GPU"
      />
      <p className="caption">{QUANTIZATION_WORDS[quantization]}</p>
    </div>
  );
}

interface ChooseModelProps { next: boolean; shelf: boolean; onShelf: () => void }

export function ChooseModel({ next, shelf, onShelf }: ChooseModelProps) {
  const { choice, folder, hub, quantization, status, summary, progress, startedAt, error } = useModel();
  const problem = useHub((s) => (s.inspection?.repo === hub?.repo ? s.inspection?.problem ?? null : null));
  const noDevice = useDevice((s) => s.status === 'failed');
  const training = useRun(runIsLive);
  const picker = useRef<HTMLInputElement>(null);
  const pick = () => picker.current?.click();

  const chosenName = choice === 'folder' ? folder?.name : hub?.repo;
  const inUse = status === 'ready' && summary !== null && summary.source === choice && (choice === 'builtin' || (summary.name === chosenName && summary.quantization === quantization));
  const shown = hub && !SHOWN.includes(hub.repo) ? [...SHOWN, hub.repo] : SHOWN;
  const label = inUse ? 'In use' : choice === 'builtin' ? 'Use built-in model' : choice === 'hub' ? `Use ${hub?.repo.split('/').at(-1) ?? 'this model'}` : folder ? `Use ${folder.name}` : 'Choose a folder';
  const caption = training ? 'A run is training on the model'
    : noDevice ? 'Needs a graphics adapter'
    : inUse ? `${formatBytes(summary.weightBytes)} on the GPU`
    : choice === 'builtin' ? 'Loads in about a second'
    : choice === 'hub' ? (problem ? 'Cannot be used as things are' : 'Downloaded once, then kept in this browser') : 'Read from your disk, never copied';

  return (
    <Column
      number={1} title="Choose a model" next={next} caption={caption}
      button={{
        label, testId: 'use-model', disabled: inUse || status === 'loading' || noDevice || training || (choice === 'hub' && problem !== null),
        onClick: () => { if (choice === 'folder' && !folder) pick(); else void loadModel(); },
      }}
    >
      <Radio.Group value={choice === 'hub' ? `hub:${hub?.repo}` : choice} onChange={(value) => { if (value.startsWith('hub:')) pickModel(value.slice(4)); else chooseModel(value === 'folder' ? 'folder' : 'builtin'); }} aria-label="Base model">
        <Choice
          value="builtin" name={BUILTIN_MODEL.title} side={formatBytes(BUILTIN_MODEL.bytes)}
          about={`${formatCountShort(BUILTIN_MODEL.parameters)} parameters · already here`}
        />
        {shown.map((repo) => <HubChoice key={repo} repo={repo} />)}
        <Choice
          value="folder" name={folder?.name ?? 'A folder of your own'} onClick={() => { if (!folder) pick(); }}
          side={folder && formatBytes(folder.files.reduce((sum, f) => sum + f.size, 0))}
          about="config.json, tokenizer.json, safetensors"
        />
      </Radio.Group>
      {choice === 'folder' && folder && <button type="button" className={`link ${classes.more}`} onClick={pick}>Choose another folder</button>}
      {!summary && choice === 'folder' && <p className={`caption ${classes.more}`}>Drop a model folder anywhere on this page.</p>}
      <button type="button" className={`link ${classes.more}`} aria-expanded={shelf} onClick={onShelf} data-testid="more-models">{shelf ? 'Fewer models' : 'More models, search and access'}</button>
      {choice === 'hub' && hub && !inUse && status !== 'loading' && <HubFacts repo={hub.repo} onToken={() => { if (!shelf) onShelf(); focusToken(); }} />}
      <input
        ref={picker} type="file" hidden multiple {...{ webkitdirectory: '' }} aria-label="Model folder" data-testid="model-folder-input"
        onChange={(e) => {
          if (e.currentTarget.files?.length) setFolder(pickedFolder(e.currentTarget.files));
          e.currentTarget.value = '';
        }}
      />
      {choice !== 'builtin' && <WeightsChoice />}
      {status === 'loading' && <div className={classes.block}><ProgressRow name={choice === 'hub' ? hub?.repo.split('/').at(-1) ?? 'Loading the model' : 'Loading the model'} progress={progress} startedAt={startedAt} onCancel={cancelLoad} /></div>}
      {error && <div className={classes.block}><ErrorPanel error={error} remedies={error.code === 'device.outOfMemory' && quantization !== 'nf4' ? remediesIn('the model in 4 bits') : []} action={{ label: 'Try again', onClick: () => void loadModel() }} /></div>}
      {summary && <ModelFacts model={summary} />}
    </Column>
  );
}
