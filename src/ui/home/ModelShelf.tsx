/** All models: search on the hub, the list of those people know, what is cached, and the token for gated ones. */
import { Button, TextInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { CURATED_MODELS } from '../../config/curatedModels.ts';
import { useDevice } from '../../stores/device.ts';
import { searchHub, useHub } from '../../stores/hub.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { formatBytes, formatCountShort } from '../format.ts';
import { CachedModels } from './CachedModels.tsx';
import { fitOf } from './fits.ts';
import { ModelRow } from './ModelRow.tsx';
import { TokenForm } from './TokenForm.tsx';
import classes from './ModelShelf.module.css';
import { cachedWords, facts, licenceName } from './words.ts';

function Search() {
  const { query, searching } = useHub();
  const [text, setText] = useState(query);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void searchHub(text);
  };
  return (
    <form className={classes.search} onSubmit={submit} role="search">
      <TextInput
        label="Search the Hugging Face hub" placeholder="SmolLM2, Qwen3, org/name" value={text} data-testid="hub-search"
        onChange={(e) => { setText(e.currentTarget.value); if (e.currentTarget.value === '') void searchHub(''); }}
      />
      <Button type="submit" disabled={text.trim() === '' || searching} data-testid="hub-search-go">{searching ? 'Searching' : 'Search'}</Button>
    </form>
  );
}

function Found() {
  const { found, cached, query } = useHub();
  if (!found) return null;
  if (found.length === 0) return <p className="dim" data-testid="nothing-found">Nothing on the hub is called “{query.trim()}”. Try a shorter name, or paste org/name.</p>;
  return (
    <ul className={classes.list} data-testid="hub-results" aria-label="Search results">
      {found.map((model) => (
        <ModelRow
          key={model.repo} repo={model.repo} disabled={!model.supported}
          side={model.parameters === null ? undefined : formatCountShort(model.parameters)}
          about={model.reason ?? facts(licenceName(model.licence), model.gated && 'gated', `${formatCountShort(model.downloads)} downloads`, cachedWords(cached?.find((c) => c.kind === 'model' && c.repo === model.repo)))}
        />
      ))}
    </ul>
  );
}

function Known() {
  const cached = useHub((s) => s.cached);
  const limit = useDevice((s) => s.info?.memoryBudget ?? null);
  return (
    <ul className={classes.list} data-testid="known-models" aria-label="Models people know">
      {CURATED_MODELS.map((model) => {
        const fit = fitOf(2 * model.parameters, null, limit);
        return (
          <ModelRow
            key={model.repo} repo={model.repo} side={formatBytes(model.bytes)}
            about={<>
              {facts(formatCountShort(model.parameters), model.kind, licenceName(model.licence), model.gated && 'gated', cachedWords(cached?.find((c) => c.kind === 'model' && c.repo === model.repo)))}
              {fit && <> · <span title={fit.why}>{fit.word}</span></>}
            </>}
          />
        );
      })}
    </ul>
  );
}

export function ModelShelf() {
  const { found, searchError, query } = useHub();
  return (
    <section className={classes.shelf} aria-label="More models" data-testid="model-shelf">
      <div className={classes.main}>
        <Search />
        {searchError && <ErrorPanel error={searchError} action={{ label: 'Search again', onClick: () => void searchHub(query) }} />}
        {found ? <><h2>Found</h2><Found /></> : <><h2>Small models people know</h2><Known /></>}
      </div>
      <aside className={classes.aside} aria-label="Cache and access">
        <CachedModels />
        <TokenForm />
      </aside>
    </section>
  );
}
