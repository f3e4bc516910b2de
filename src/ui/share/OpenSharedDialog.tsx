/** A recipe someone sent: what it would set, what was refused. Takes it only when asked, and never starts anything. */
import { Button, Textarea } from '@mantine/core';
import { useState } from 'react';
import { defaultRecipe, type Recipe } from '../../config/recipe.ts';
import { closeDialog } from '../../stores/session.ts';
import { forgetLink, readLink, takeIncoming, useShare } from '../../stores/share.ts';
import { Dialog } from '../components/Dialog.tsx';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { Note } from '../components/Note.tsx';
import { plural } from '../format.ts';
import classes from '../shell/Dialogs.module.css';
import { recipeChanges } from './settingsText.ts';

function PasteLink() {
  const [text, setText] = useState('');
  const error = useShare((s) => s.error);
  return (
    <div className={classes.stack}>
      <Textarea
        label="Link" description="Paste a link made by Share. You see what it sets before anything changes." value={text} data-autofocus
        onChange={(e) => setText(e.currentTarget.value)} autosize minRows={2} maxRows={6} data-testid="paste-link"
      />
      {error && <ErrorPanel error={error} />}
      <div className={classes.row}>
        <Button onClick={closeDialog}>Cancel</Button>
        <Button variant="filled" disabled={!text.trim()} onClick={() => readLink(text)}>Read the link</Button>
      </div>
    </div>
  );
}

function Refused({ lines }: { lines: string[] }) {
  if (lines.length === 0) return null;
  return (
    <div data-testid="share-refused">
      <Note kind="warning" title={`${plural(lines.length, 'setting')} in the link ${lines.length === 1 ? 'was' : 'were'} refused.`}>The default is kept instead.</Note>
      <ul className={classes.list}>{lines.map((line) => <li key={line}><span className={classes.why}>{line}</span></li>)}</ul>
    </div>
  );
}

function Incoming({ recipe, refused }: { recipe: Recipe; refused: string[] }) {
  const changes = recipeChanges(defaultRecipe(), recipe);
  const close = () => { forgetLink(); closeDialog(); };
  const { model, dataset } = recipe;
  return (
    <div className={classes.stack} data-testid="share-incoming">
      <p>
        Made for {model.source === 'builtin' ? 'the built-in model' : `the model ${model.name}`} and {dataset.source === 'builtin' ? 'the built-in data' : dataset.source === 'hub' ? `the dataset ${dataset.name} of the hub` : `data called ${dataset.name}`}{dataset.mapping ? ', whose mapping comes with it' : ''}.
        Nothing is loaded or started; it replaces the settings you have now.
      </p>
      <Refused lines={refused} />
      {changes.length === 0
        ? <p className="dim">Every setting in it is a default.</p>
        : (
          <ul className={classes.list} data-testid="share-accepted">
            {changes.map((c) => <li key={c.path}><span>{c.label}</span><span>{c.to} <span className="faint">default {c.from}</span></span></li>)}
          </ul>
        )}
      <div className={classes.row}>
        <Button onClick={close}>Keep my settings</Button>
        <Button variant="filled" onClick={() => { takeIncoming(); closeDialog(); }} data-testid="share-accept">Use this recipe</Button>
      </div>
    </div>
  );
}

export default function OpenSharedDialog() {
  const { incoming } = useShare();
  return (
    <Dialog onClose={() => { forgetLink(); closeDialog(); }} title="Open a shared recipe" size={560}>
      {incoming ? <Incoming {...incoming} /> : <PasteLink />}
    </Dialog>
  );
}
