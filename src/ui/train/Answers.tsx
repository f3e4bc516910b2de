/** The same prompts, answered as training goes on: newest first. */
import { useState } from 'react';
import { useRun } from '../../stores/run.ts';
import { formatWhole } from '../format.ts';
import classes from './Train.module.css';

const SHOWN = 4;

export function Answers() {
  const answers = useRun((s) => s.answers);
  const [prompt, setPrompt] = useState(0);
  const [all, setAll] = useState(false);
  if (answers.length === 0) return null;
  const prompts = [...new Set(answers.map((a) => a.promptIndex))].toSorted((a, b) => a - b);
  const index = prompts[prompt % prompts.length]!;
  const mine = answers.filter((a) => a.promptIndex === index).toSorted((a, b) => b.step - a.step);
  // The first answer, from before training, is what all others are compared with.
  const shown = all || mine.length <= SHOWN ? mine : [...mine.slice(0, SHOWN - 1), mine.at(-1)!];
  return (
    <section className={classes.answers} data-testid="answers">
      <div className={classes.answersHead}>
        <h2>Answers as they change</h2>
        <p className="caption">
          Prompt {(prompt % prompts.length) + 1} of {prompts.length}: “{mine[0]?.prompt}”{' '}
          {prompts.length > 1 && <button type="button" className="link" onClick={() => setPrompt(prompt + 1)}>Next prompt</button>}
        </p>
      </div>
      <ol>
        {shown.map((a, i) => (
          <li key={a.step} data-newest={i === 0 || undefined}>
            <span>Step {formatWhole(a.step)}</span>
            <p>{a.answer || <span className="faint">nothing</span>}</p>
          </li>
        ))}
      </ol>
      {shown.length < mine.length && <button type="button" className="link" onClick={() => setAll(true)}>Show all {mine.length}</button>}
    </section>
  );
}
