/** A row turn by turn, to be written anew or for the first time: roles, text, turns added and taken away. */
import { ActionIcon, Button, NativeSelect, Textarea } from '@mantine/core';
import { useState } from 'react';
import { keepDraft, useEdits } from '../../../stores/rowEdits.ts';
import type { Message } from '../../../stores/types.ts';
import { IconX } from '../../icons.ts';
import classes from './Rows.module.css';
import { nextRole, ROLES, rowProblem, withKeys, type KeyedTurn } from './turns.ts';

interface TurnFormProps {
  title: string;
  start: readonly Message[];
  busy: boolean;
  /** Why it cannot be saved now; what was typed stays. */
  locked: string | null;
  saveLabel: string;
  onSave: (messages: Message[]) => void;
  onCancel: () => void;
}

function Turn({ turn, number, onChange, onRemove }: { turn: KeyedTurn; number: number; onChange: (message: Message) => void; onRemove: (() => void) | null }) {
  const { message } = turn;
  return (
    <li className={classes.turnForm}>
      {message.plain
        ? <span className="dim">Text</span>
        : <NativeSelect size="xs" aria-label={`Role of turn ${number}`} data={ROLES} value={message.role} onChange={(e) => onChange({ ...message, role: e.currentTarget.value as Message['role'] })} />}
      <Textarea
        aria-label={message.plain ? 'Text' : `Text of turn ${number}, ${message.role}`} autosize minRows={2} maxRows={14} value={message.content}
        onChange={(e) => onChange({ ...message, content: e.currentTarget.value })}
        description={message.toolCalls?.length ? `Calls ${message.toolCalls.map((call) => call.name).join(', ')}: kept as it is` : undefined}
      />
      {onRemove && <ActionIcon size={30} variant="subtle" className={classes.remove} aria-label={`Remove turn ${number}`} title={`Remove turn ${number}`} onClick={onRemove}><IconX size={16} /></ActionIcon>}
    </li>
  );
}

export function TurnForm({ title, start, busy, locked, saveLabel, onSave, onCancel }: TurnFormProps) {
  const [turns, setTurns] = useState(() => withKeys(useEdits.getState().draft ?? start));
  const change = (next: KeyedTurn[]) => {
    setTurns(next);
    keepDraft(next.map((turn) => turn.message));
  };
  const messages = turns.map((turn) => turn.message);
  const problem = locked ?? rowProblem(messages);
  const plain = messages[0]?.plain === true;
  return (
    // Keys of the fields inside come through here.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <form
      className={classes.form} aria-label={title} data-testid="turn-form"
      onSubmit={(e) => { e.preventDefault(); if (!problem && !busy) onSave(messages); }}
      onKeyDown={(e) => {
        // What was typed is only given up with the button.
        if (e.key === 'Escape' && useEdits.getState().draft === null) onCancel();
        if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) e.currentTarget.requestSubmit();
      }}
    >
      <ol className={classes.turnForms}>
        {turns.map((turn, i) => (
          <Turn
            key={turn.key} turn={turn} number={i + 1}
            onChange={(message) => change(turns.map((t) => (t.key === turn.key ? { ...t, message } : t)))}
            onRemove={turns.length > 1 ? () => change(turns.filter((t) => t.key !== turn.key)) : null}
          />
        ))}
      </ol>
      <div className={classes.formEnd}>
        {!plain && <Button size="xs" onClick={() => change([...turns, ...withKeys([{ role: nextRole(messages), content: '' }])])}>Add turn</Button>}
        <span className={classes.grow} />
        <Button size="xs" variant="subtle" onClick={onCancel}>Cancel</Button>
        <Button size="xs" type="submit" disabled={problem !== null || busy}>{saveLabel}</Button>
      </div>
      {problem && <p className="caption" style={{ textAlign: 'right' }}>{problem}</p>}
    </form>
  );
}
