/** What rows are shown: by task, finding, quality, lengths, held-out, edited, left out. Each a small button. */
import { Button, Checkbox, NumberInput, Radio } from '@mantine/core';
import { useState } from 'react';
import { usePlan } from '../../../stores/plan.ts';
import { setWhere, useRows, type RowWhere } from '../../../stores/rowView.ts';
import type { DatasetSummary } from '../../../stores/types.ts';
import { formatCount } from '../../format.ts';
import { FilterChip } from './FilterChip.tsx';
import classes from './Rows.module.css';
import { OPEN_END, TASKS, taskName, toRange, whereWords } from './words.ts';

function Tasks({ value }: { value: readonly string[] }) {
  const mix = usePlan((s) => s.report.value?.advice.mix);
  const countOf = (task: string) => mix?.find((m) => m.type === task)?.rows;
  return (
    <Checkbox.Group label="Task" value={[...value]} onChange={(tasks) => setWhere({ task: tasks.length ? tasks as RowWhere['task'] : undefined })}>
      <div className={classes.choiceList}>
        {TASKS.map((task) => <Checkbox key={task} size="xs" value={task} label={<>{taskName(task)}{countOf(task) !== undefined && <span className="faint"> {formatCount(countOf(task))}</span>}</>} />)}
      </div>
    </Checkbox.Group>
  );
}

function FindingChoice({ value }: { value: string | undefined }) {
  const report = usePlan((s) => s.report.value);
  const findings = report?.findings.filter((f) => f.rows.length > 0) ?? [];
  if (findings.length === 0) return <p className="caption">{report ? 'No row has a finding.' : 'Load a model first: rows are checked with its tokenizer and template.'}</p>;
  return (
    <Radio.Group label="Finding" value={value ?? ''} onChange={(kind) => setWhere({ finding: kind as NonNullable<RowWhere['finding']> })}>
      <div className={classes.choiceList}>
        {findings.map((f) => <Radio key={f.kind} size="xs" value={f.kind} label={/^\d/.test(f.title) ? f.title : <>{f.title} <span className="faint">{formatCount(f.count)}</span></>} />)}
      </div>
    </Radio.Group>
  );
}

type RangeField = 'quality' | 'prompt' | 'answer';

function Bounds({ field, label, most = OPEN_END, unit }: { field: RangeField; label: string; most?: number; unit: string }) {
  const range = useRows((s) => s.view.where[field]);
  const [min, setMin] = useState<number | null>(range && range[0] > 0 ? range[0] : null);
  const [max, setMax] = useState<number | null>(range && range[1] < most ? range[1] : null);
  const apply = (low: number | null, high: number | null) => {
    setMin(low);
    setMax(high);
    setWhere({ [field]: toRange(low, high, 0, most) }, true);
  };
  const bound = (value: string | number): number | null => (typeof value === 'number' ? value : null);
  return (
    <fieldset className={classes.bounds}>
      <legend>{label}, {unit}</legend>
      <NumberInput label="At least" size="xs" min={0} allowNegative={false} allowDecimal={false} {...(most < OPEN_END ? { max: most } : {})} value={min ?? ''} placeholder="0" onChange={(v) => apply(bound(v), max)} />
      <NumberInput label="At most" size="xs" min={0} allowNegative={false} allowDecimal={false} {...(most < OPEN_END ? { max: most } : {})} value={max ?? ''} placeholder={most < OPEN_END ? String(most) : 'no limit'} onChange={(v) => apply(min, bound(v))} />
    </fieldset>
  );
}

/** Both, or one of two: a condition that is on, off or not asked for. */
function Either({ label, value, yes, no, onChange }: { label: string; value: boolean | undefined; yes: string; no: string; onChange: (value: boolean | undefined) => void }) {
  return (
    <Radio.Group label={label} value={value === undefined ? 'both' : String(value)} onChange={(v) => onChange(v === 'both' ? undefined : v === 'true')}>
      <div className={classes.choiceList}>
        <Radio size="xs" value="both" label="Both" />
        <Radio size="xs" value="true" label={yes} />
        <Radio size="xs" value="false" label={no} />
      </div>
    </Radio.Group>
  );
}

export function Filters({ dataset }: { dataset: DatasetSummary }) {
  const where = useRows((s) => s.view.where);
  const report = usePlan((s) => s.report.value);
  const [open, setOpen] = useState(false);
  const words = whereWords(where, report?.findings ?? []);
  const active = Object.values(words).filter((w) => w !== null).length;
  const edited = dataset.edits !== undefined || where.edited !== undefined;
  const fixed = (report?.leftOutRows ?? 0) > 0 || where.leftOut !== undefined;
  return (
    <div className={classes.filters} role="group" aria-label="Filters">
      <Button size="xs" className={classes.filtersToggle} aria-expanded={open} onClick={() => setOpen(!open)}>{active > 0 ? `Filters: ${active}` : 'Filters'}</Button>
      <div className={classes.chips} data-open={open || undefined}>
        <FilterChip label="Task" value={words.task} onClear={() => setWhere({ task: undefined })}><Tasks value={where.task ?? []} /></FilterChip>
        <FilterChip label="Finding" value={words.finding} onClear={() => setWhere({ finding: undefined })}><FindingChoice value={where.finding} /></FilterChip>
        <FilterChip label="Quality" value={words.quality} onClear={() => setWhere({ quality: undefined })}><Bounds field="quality" label="Quality" most={100} unit="of 100" /></FilterChip>
        <FilterChip label="Prompt length" value={words.prompt} onClear={() => setWhere({ prompt: undefined })}><Bounds field="prompt" label="Prompt length" unit="characters" /></FilterChip>
        <FilterChip label="Answer length" value={words.answer} onClear={() => setWhere({ answer: undefined })}><Bounds field="answer" label="Answer length" unit="characters" /></FilterChip>
        {(dataset.split || where.held !== undefined) && (
          <FilterChip label="Split" value={words.held} onClear={() => setWhere({ held: undefined })}>
            <Either label="Split" value={where.held} yes="Held out" no="For training" onChange={(held) => setWhere({ held })} />
          </FilterChip>
        )}
        {edited && (
          <FilterChip label="Edited" value={words.edited} onClear={() => setWhere({ edited: undefined })}>
            <Either label="Edited by hand" value={where.edited} yes="Edited or added" no="As imported" onChange={(v) => setWhere({ edited: v })} />
          </FilterChip>
        )}
        {fixed && <Button size="xs" className={classes.chip} data-on={where.leftOut || undefined} aria-pressed={where.leftOut === true} onClick={() => setWhere({ leftOut: where.leftOut ? undefined : true })}>Left out by fixes</Button>}
      </div>
    </div>
  );
}
