/** Where the tuned answer would be while there is no adapter: how to get one. */
import { Button } from '@mantine/core';
import { useRef } from 'react';
import { importAdapter, useExport } from '../../stores/exporting.ts';
import { runIsLive, useRun } from '../../stores/run.ts';
import { goTo } from '../../stores/session.ts';
import classes from './Try.module.css';

export function OpenAdapter() {
  const importing = useExport((s) => s.importing);
  const training = useRun(runIsLive);
  const picker = useRef<HTMLInputElement>(null);
  return (
    <section className={classes.answer} data-which="tuned" aria-label="No adapter yet">
      <h2>Tuned <span className="caption">no adapter yet</span></h2>
      <p className={`dim ${classes.text}`}>Train one, open a past run, or open a PEFT adapter from a zip or from its two files.</p>
      <div className={classes.openActions}>
        <Button onClick={() => goTo('runs')}>Past runs</Button>
        <Button disabled={importing || training} onClick={() => picker.current?.click()} data-testid="open-adapter">{importing ? 'Opening' : 'Open an adapter'}</Button>
      </div>
      <input
        ref={picker} type="file" hidden multiple accept=".zip,.json,.safetensors" aria-label="Adapter files" data-testid="adapter-input"
        onChange={(e) => {
          const files = [...(e.currentTarget.files ?? [])];
          if (files[0]) void importAdapter(files[0].name.replace(/\.(zip|json|safetensors)$/i, ''), files);
          e.currentTarget.value = '';
        }}
      />
    </section>
  );
}
