/** Which rows are held out for validation: how many, what stays together, by which seed; and how it came out. */
import { Button, NativeSelect, NumberInput } from '@mantine/core';
import { useState } from 'react';
import { setSplit, useEdits } from '../../../stores/rowEdits.ts';
import type { DatasetSummary, SplitChoice } from '../../../stores/types.ts';
import { Dialog } from '../../components/Dialog.tsx';
import { ErrorPanel } from '../../components/ErrorPanel.tsx';
import { ProgressRow } from '../../components/ProgressRow.tsx';
import { formatCount, formatPercent, plural } from '../../format.ts';
import classes from './Rows.module.css';
import { DEFAULT_SPLIT, GROUPS, groupOf, groupValue, splitWords } from './splitWords.ts';

export function SplitDialog({ dataset, onClose }: { dataset: DatasetSummary; onClose: () => void }) {
  const [choice, setChoice] = useState<SplitChoice>(dataset.split ?? DEFAULT_SPLIT);
  const { busy, error } = useEdits();
  const working = busy?.what === 'split';
  const percent = Math.round(choice.ratio * 1000) / 10;
  const wanted = Math.round(choice.ratio * dataset.rows);
  const valid = choice.ratio > 0 && choice.ratio < 1;
  const made = dataset.split;
  return (
    <Dialog onClose={onClose} title="Split into training and held-out rows" size={520}>
      <form className={classes.splitForm} onSubmit={(e) => { e.preventDefault(); if (valid && !working) void setSplit(choice); }}>
        <p className="dim">Held-out rows are never trained; the validation loss and the prompts on Try come from them. The split is kept with the data and used instead of the recipe's share.</p>
        <div className={classes.splitFields}>
          <NumberInput
            label="Held out" suffix=" %" min={0.1} max={99.9} decimalScale={1} allowNegative={false} value={percent} data-autofocus description={valid ? `about ${plural(wanted, 'row')}` : 'above 0 and below 100'} error={!valid}
            onChange={(v) => setChoice((c) => ({ ...c, ratio: typeof v === 'number' ? v / 100 : 0 }))}
          />
          <NumberInput label="Seed" min={0} allowDecimal={false} allowNegative={false} value={choice.seed} description="the same seed, the same rows" onChange={(v) => setChoice((c) => ({ ...c, seed: typeof v === 'number' ? v : 0 }))} />
        </div>
        <NativeSelect
          label="Keep together" description="Rows of a group land on one side, so that nothing held out was asked in training."
          value={groupValue(choice.groupBy)} onChange={(e) => setChoice((c) => ({ ...c, groupBy: groupOf(e.currentTarget.value) }))}
          data={[...GROUPS, ...(dataset.fields.length ? [{ group: 'Rows with the same value of', items: dataset.fields.map((field) => ({ value: `field:${field}`, label: field })) }] : [])]}
        />
        {working && <ProgressRow name="Splitting the rows" progress={busy.progress} startedAt={busy.startedAt} />}
        {error && <ErrorPanel error={error} action={{ label: 'Split again', onClick: () => void setSplit(choice) }} />}
        <div role="status" data-testid="split-result">
          {made && !working && <>
            <p><strong>{formatCount(made.train)}</strong> to train, <strong>{formatCount(made.heldOut)}</strong> held out ({formatPercent(made.heldOut / Math.max(1, made.train + made.heldOut))}).</p>
            <p className="caption">{splitWords(made)}</p>
          </>}
        </div>
        <div className={classes.dialogEnd}>
          {made && <Button variant="subtle" disabled={working} onClick={() => void setSplit(null)}>Remove the split</Button>}
          <Button type="submit" disabled={!valid || busy !== null}>{made ? 'Split again' : 'Split the rows'}</Button>
        </div>
      </form>
    </Dialog>
  );
}
