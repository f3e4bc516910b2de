/** A link that carries the recipe, and what it does not carry. */
import { Button, Modal, Textarea } from '@mantine/core';
import { useMemo } from 'react';
import { defaultRecipe } from '../../config/recipe.ts';
import { useRecipe } from '../../stores/recipe.ts';
import { closeDialog } from '../../stores/session.ts';
import { currentLink } from '../../stores/share.ts';
import { useCopied } from '../components/useCopied.ts';
import { plural } from '../format.ts';
import { modelTitle } from '../names.ts';
import classes from '../shell/Dialogs.module.css';
import { recipeChanges } from './settingsText.ts';

export default function ShareDialog() {
  const recipe = useRecipe((s) => s.recipe);
  const [copied, copy] = useCopied();
  const link = useMemo(() => (recipe ? currentLink() : ''), [recipe]);
  const changes = recipeChanges(defaultRecipe(), recipe).length;
  return (
    <Modal opened onClose={closeDialog} title="Share the recipe" size={520} closeButtonProps={{ 'aria-label': 'Close' }}>
      <div className={classes.stack}>
        <p>
          The link holds the settings, {plural(changes, 'of them differs', 'of them differ')} from the defaults, and the names of model
          ({modelTitle(recipe.model)}) and data ({recipe.dataset.source === 'builtin' ? 'built in' : recipe.dataset.name}). It holds no data, no weights and no keys.
        </p>
        <Textarea label="Link" value={link} readOnly autosize minRows={2} maxRows={6} onFocus={(e) => e.currentTarget.select()} data-testid="share-link" />
        <div className={classes.row}>
          <Button variant="filled" onClick={() => copy(link)}>{copied ? 'Copied' : 'Copy link'}</Button>
        </div>
      </div>
    </Modal>
  );
}
