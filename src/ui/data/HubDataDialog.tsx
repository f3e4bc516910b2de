/** A dataset of the hub by name: what it holds at which commit, a config and a split to choose, then download and import. */
import { Button, Select, TextInput } from '@mantine/core';
import { useEffect, useState, type FormEvent } from 'react';
import { importHub } from '../../stores/data.ts';
import { useExpected } from '../../stores/expected.ts';
import { chooseConfig, chooseSplit, chosenSplit, closeHubData, lookAtDataset, useHubData } from '../../stores/hubData.ts';
import { goTo } from '../../stores/session.ts';
import type { HubDataset, HubSplit } from '../../stores/types.ts';
import { Dialog } from '../components/Dialog.tsx';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { formatBytes, plural, UNKNOWN } from '../format.ts';
import { TokenForm } from '../home/TokenForm.tsx';
import { licenceName } from '../home/words.ts';
import classes from './HubData.module.css';

const NEEDS_TOKEN = ['hub.gated', 'hub.noAccess', 'hub.badToken'];

/** What is left to download, in words. */
export function downloadWords({ bytes, cachedBytes }: HubSplit): string {
  if (cachedBytes >= bytes) return `none, ${formatBytes(bytes)} are here`;
  return cachedBytes > 0 ? `${formatBytes(bytes - cachedBytes)} of ${formatBytes(bytes)} are left` : formatBytes(bytes);
}

function Found({ found, split }: { found: HubDataset; split: HubSplit | null }) {
  const config = useHubData((s) => s.config);
  const splits = found.configs.find((one) => one.name === config)?.splits ?? [];
  return (
    <div className={classes.found} data-testid="hub-dataset">
      {found.configs.length > 1 && <Select label="Config" allowDeselect={false} data={found.configs.map((one) => one.name)} value={config} onChange={chooseConfig} data-testid="hub-config" />}
      {splits.length > 0 && (
        <Select
          label="Split" allowDeselect={false} value={split?.name ?? null} onChange={chooseSplit} data-testid="hub-split"
          data={splits.map(({ name, files, bytes }) => ({ value: name, label: `${name} · ${plural(files.length, 'file')} · ${formatBytes(bytes)}` }))}
        />
      )}
      <dl className={classes.facts}>
        <div><dt>Licence</dt><dd>{[licenceName(found.licence), found.gated ? 'gated' : null].filter(Boolean).join(', ') || UNKNOWN}</dd></div>
        <div><dt>Revision</dt><dd>{found.revision === found.commit ? '' : `${found.revision}, `}{found.commit.slice(0, 7)}</dd></div>
        {split && <div><dt>Download</dt><dd>{downloadWords(split)}</dd></div>}
      </dl>
      <p className="caption">{found.because}</p>
    </div>
  );
}

export function HubDataDialog({ onClose }: { onClose: () => void }) {
  const state = useHubData();
  const { asking, found, error } = state;
  const expected = useExpected((s) => (s.dataset?.source === 'hub' ? s.dataset : null));
  const [name, setName] = useState(expected ? `${expected.name}${expected.revision ? `@${expected.revision}` : ''}` : '');
  useEffect(() => closeHubData, []);
  const split = chosenSplit(state);
  const problem = error ?? found?.problem ?? null;
  const look = (event?: FormEvent) => {
    event?.preventDefault();
    if (name.trim() !== '') void lookAtDataset(name, { config: expected?.config, split: expected?.split });
  };
  const use = () => {
    if (!found || !split || state.config === null) return;
    onClose();
    goTo('data');
    void importHub({ repo: found.repo, revision: found.commit, config: state.config, split: split.name, paths: split.files.map((file) => file.path) }, split.bytes);
  };
  return (
    <Dialog onClose={onClose} title="Data from the hub" size={560}>
      <div className={classes.stack}>
        <form onSubmit={look} className={classes.ask}>
          <TextInput
            label="Dataset" placeholder="org/name, or org/name@revision" value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus
            spellCheck={false} autoComplete="off" data-testid="hub-dataset-name"
          />
          <Button type="submit" disabled={name.trim() === '' || asking !== null} data-testid="hub-dataset-look">{asking === null ? 'Look' : 'Looking'}</Button>
        </form>
        {asking !== null && <p className="caption" role="status">Asking the hub about {asking}</p>}
        {found && <Found found={found} split={split} />}
        {problem && <ErrorPanel error={problem} action={{ label: 'Ask again', onClick: look }} />}
        {problem && NEEDS_TOKEN.includes(problem.code) && <TokenForm id="hub-data-token" then={look} />}
        <div className={classes.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button variant="filled" disabled={!split || problem !== null} onClick={use} data-testid="hub-dataset-use">{split && split.cachedBytes < split.bytes ? `Download ${formatBytes(split.bytes - split.cachedBytes)}` : 'Use these rows'}</Button>
        </div>
        {!found && problem === null && <p className="caption">JSON, JSON Lines, CSV, TSV and Parquet are read. Rows are kept in this browser, pinned to the commit; nothing about them is sent.</p>}
      </div>
    </Dialog>
  );
}
