/** The recipe as JSON: copied whole, or typed and taken as soon as it is valid. */
import { Button, Textarea } from '@mantine/core';
import { useState } from 'react';
import { setRecipeJson, useRecipe } from '../../stores/recipe.ts';
import { IconCopy } from '../icons.ts';
import { useCopied } from '../components/useCopied.ts';
import classes from './Recipe.module.css';

export function JsonView() {
  const recipe = useRecipe((s) => s.recipe);
  const draft = useRecipe((s) => s.jsonDraft);
  const [typed, setTyped] = useState<string | null>(null);
  const [copied, copy] = useCopied();
  const plain = JSON.stringify(recipe, null, 2);
  return (
    <div className={classes.json}>
      <Textarea
        aria-label="Recipe as JSON" value={typed ?? draft?.text ?? plain} autosize minRows={20} spellCheck={false} classNames={{ input: classes.code! }} data-testid="recipe-json"
        error={draft ? `${draft.problem} The last valid recipe stands.` : undefined} onBlur={() => setTyped(null)}
        onChange={(e) => { setTyped(e.currentTarget.value); setRecipeJson(e.currentTarget.value); }}
      />
      <Button size="xs" variant="subtle" className={classes.copy} leftSection={<IconCopy size={16} stroke={1.75} />} onClick={() => copy(plain)}>
        {copied ? 'Copied' : 'Copy'}
      </Button>
    </div>
  );
}
