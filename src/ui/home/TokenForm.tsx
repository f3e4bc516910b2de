/** A hub token for gated models: kept in memory, or for the tab where the person asks; never shown again. */
import { Button, Checkbox, PasswordInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { inspectHub, setHubToken, useHub } from '../../stores/hub.ts';
import { useModel } from '../../stores/model.ts';
import classes from './ModelShelf.module.css';

const FIELD = 'hub-token-field';

/** Takes the person to the field, once the shelf it is on has been drawn. */
export const focusToken = (): void => void setTimeout(() => document.getElementById(FIELD)?.focus(), 50);

/** What the hub refused without a token it may tell with one. */
function lookAgain(): void {
  const { choice, hub } = useModel.getState();
  if (choice === 'hub' && hub) void inspectHub(hub.repo, hub.revision);
}

/** `then` runs once a token is set; without it the chosen model is looked at again. */
export function TokenForm({ id = FIELD, then = lookAgain }: { id?: string; then?: () => void }) {
  const { hasToken, tokenRemembered } = useHub();
  const [token, setToken] = useState('');
  const [remember, setRemember] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setToken('');
    void setHubToken(token, remember).then(then);
  };
  return (
    <section data-testid="hub-token">
      <h2>{id === FIELD ? 'Access to gated models' : 'Access to gated datasets'}</h2>
      {hasToken
        ? <>
            <p className="dim">A token is set{tokenRemembered ? ', kept until this tab is closed' : ', in memory until this page is left'}.</p>
            <Button size="xs" mt={8} onClick={() => void setHubToken(null)} data-testid="forget-token">Forget the token</Button>
          </>
        : <form onSubmit={submit} className={classes.token}>
            <p className="dim">Accept its terms on huggingface.co, make a read token under Settings, and paste it here. It goes to the hub’s own host only.</p>
            <PasswordInput id={id} label="Hub token" placeholder="hf_…" autoComplete="off" value={token} onChange={(e) => setToken(e.currentTarget.value)} data-testid="hub-token-input" />
            <Checkbox label="Keep it until this tab is closed" checked={remember} onChange={(e) => setRemember(e.currentTarget.checked)} data-testid="hub-token-remember" />
            <Button size="xs" type="submit" disabled={token.trim() === ''} data-testid="hub-token-set">Use this token</Button>
          </form>}
    </section>
  );
}
