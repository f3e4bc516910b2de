/** The recipe as JSON: copied whole, or typed and taken as soon as it is valid. */
import { Button, Textarea } from '@mantine/core';
import { useEffect, useState } from 'react';
import { setRecipeJson, useRecipe } from '../../stores/recipe.ts';
import { IconCopy } from '../icons.ts';
import { useCopied } from '../components/useCopied.ts';
import classes from './Recipe.module.css';

export function JsonView() {
  const recipe = useRecipe((s) => s.recipe);
  const draft = useRecipe((s) => s.jsonDraft);
  const [text, setText] = useState(() => draft ?? JSON.stringify(recipe, null, 2));
  const [problem, setProblem] = useState<string | null>(null);
  const [typing, setTyping] = useState(false);
  const [copied, copy] = useCopied();
  useEffect(() => {
    if (!typing && draft === null) setText(JSON.stringify(recipe, null, 2));
  }, [recipe, draft, typing]);
  return (
    <div className={classes.json}>
      <Textarea
        aria-label="Recipe as JSON" value={text} autosize minRows={20} spellCheck={false} classNames={{ input: classes.code! }} data-testid="recipe-json"
        error={problem ? `${problem} The last valid recipe stands.` : undefined} onFocus={() => setTyping(true)} onBlur={() => setTyping(false)}
        onChange={(e) => { setText(e.currentTarget.value); setProblem(setRecipeJson(e.currentTarget.value)); }}
      />
      <Button size="xs" variant="subtle" className={classes.copy} leftSection={<IconCopy size={16} stroke={1.75} />} onClick={() => copy(JSON.stringify(recipe, null, 2))}>
        {copied ? 'Copied' : 'Copy'}
      </Button>
    </div>
  );
}
