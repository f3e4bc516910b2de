/** A link that carries the recipe, and what it does not carry. */
import { Button, Textarea } from '@mantine/core';
import { useMemo } from 'react';
import { defaultRecipe } from '../../config/recipe.ts';
import { useRecipe } from '../../stores/recipe.ts';
import { closeDialog } from '../../stores/session.ts';
import { linkFor } from '../../stores/share.ts';
import { Dialog } from '../components/Dialog.tsx';
import { useCopied } from '../components/useCopied.ts';
import { plural } from '../format.ts';
import classes from '../shell/Dialogs.module.css';
import { recipeChanges } from './settingsText.ts';

export default function ShareDialog() {
  const recipe = useRecipe((s) => s.recipe);
  const [copied, copy] = useCopied();
  const link = useMemo(() => linkFor(recipe), [recipe]);
  const changes = recipeChanges(defaultRecipe(), recipe).length;
  return (
    <Dialog onClose={closeDialog} title="Share the recipe" size={520}>
      <div className={classes.stack}>
        <p>
          The link holds {changes === 0 ? 'the default settings' : plural(changes, 'setting that differs', 'settings that differ')}{changes === 0 ? '' : ' from the defaults'} and two names:
          the model, {recipe.model.source === 'builtin' ? 'built in' : recipe.model.name}, and the data, {recipe.dataset.source === 'builtin' ? 'built in' : recipe.dataset.name}.
          It holds no data, no weights and no keys.
        </p>
        <Textarea label="Link" value={link} readOnly autosize minRows={2} maxRows={6} onFocus={(e) => e.currentTarget.select()} data-testid="share-link" />
        <div className={classes.row}>
          <Button variant="filled" onClick={() => copy(link)}>{copied ? 'Copied' : 'Copy link'}</Button>
        </div>
      </div>
    </Dialog>
  );
}
