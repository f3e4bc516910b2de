/** The prompt, where it came from, and the button that runs or stops it. */
import { Button, Kbd, Textarea } from '@mantine/core';
import type { KeyboardEvent } from 'react';
import { chatIsRunning, nextHeldOut, runPrompt, setPrompt, stopChat, useChat } from '../../stores/chat.ts';
import { currentDataset, useData } from '../../stores/data.ts';
import { formatWhole } from '../format.ts';
import { StopIcon } from '../train/icons.tsx';
import classes from './Try.module.css';
import { useTryBlocker } from './useTryBlocker.ts';

function Origin() {
  const { heldOut, prompts } = useChat();
  const rows = useData((s) => currentDataset(s)?.rows ?? null);
  if (prompts.length === 0) return null;
  const from = !heldOut ? 'Your own prompt'
    : heldOut.index === null ? 'A held-out question'
    : `Held-out row ${formatWhole(heldOut.index + 1)} of ${formatWhole(rows)}`;
  return (
    <p className="caption">
      {from} · <button type="button" className="link" onClick={nextHeldOut} data-testid="another-prompt">{heldOut ? 'Another' : 'Take a held-out one'}</button>
    </p>
  );
}

export function PromptBox() {
  const prompt = useChat((s) => s.prompt);
  const running = useChat(chatIsRunning);
  const blocker = useTryBlocker();
  const key = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (!blocker) void runPrompt();
    } else if (event.key === 'Escape' && running) {
      event.preventDefault();
      stopChat();
    }
  };
  return (
    <div className={classes.prompt}>
      <Origin />
      <div className={classes.promptRow}>
        <Textarea
          aria-label="Prompt" placeholder="Ask something" value={prompt} autosize minRows={1} maxRows={8} variant="unstyled" className={classes.promptText}
          classNames={{ input: classes.promptInput! }} onChange={(e) => setPrompt(e.currentTarget.value)} onKeyDown={key} data-testid="prompt"
        />
        <div className={classes.promptActions}>
          {running
            ? <><Kbd>Esc</Kbd><Button leftSection={<StopIcon />} onClick={stopChat} data-testid="stop-answers">Stop</Button></>
            : <><Kbd>Ctrl Enter</Kbd><Button disabled={blocker !== null || !prompt.trim()} onClick={() => void runPrompt()} data-testid="run-prompt">Run</Button></>}
        </div>
      </div>
      {blocker && <p className="caption" data-testid="reason">{blocker}</p>}
    </div>
  );
}
