/** How fields become turns: what was detected, three rows as they will be, and the way to correct it. */
import { Button, Select } from '@mantine/core';
import { useEffect, useState } from 'react';
import type { UserMessage } from '../../config/errors.ts';
import { setMapping } from '../../stores/data.ts';
import { previewRejected, previewRow } from '../../stores/rowsCache.ts';
import type { DatasetSummary, Mapping, Message } from '../../stores/types.ts';
import { SHAPE_NAMES } from '../names.ts';
import classes from './Data.module.css';
import { forShape, missingPart, PARTS, sameMapping, type MappingPart } from './mappingFields.ts';

const SHAPES = Object.entries(SHAPE_NAMES).map(([value, label]) => ({ value, label }));

type PreviewOf = { turns: Message[]; rejected: string | null } | { error: UserMessage };

async function previewOf(id: string, index: number, mapping: Mapping): Promise<PreviewOf> {
  const [turns, rejected] = await Promise.all([previewRow(id, index, mapping), previewRejected(id, index, mapping)]);
  return 'error' in turns ? turns : { turns, rejected };
}

function usePreviews(dataset: DatasetSummary, mapping: Mapping, usable: boolean): PreviewOf[] {
  const count = Math.min(3, dataset.rows);
  const [made, setMade] = useState<{ key: string; rows: PreviewOf[] } | null>(null);
  const key = JSON.stringify(mapping);
  useEffect(() => {
    if (!usable) return;
    let current = true;
    void Promise.all(Array.from({ length: count }, (_, i) => previewOf(dataset.id, i, JSON.parse(key) as Mapping)))
      .then((rows) => { if (current) setMade({ key, rows }); });
    return () => { current = false; };
  }, [dataset.id, count, key, usable]);
  // The rows of the mapping before stay until those of the new one are there.
  return usable && made ? made.rows : [];
}

function Preview({ index, preview }: { index: number; preview: PreviewOf }) {
  return (
    <li className={classes.preview}>
      <p className="caption">Row {index + 1}</p>
      {'error' in preview
        ? <p className={classes.problem}>{preview.error.what}</p>
        : preview.turns.map((message, i) => (
          // oxlint-disable-next-line react/no-array-index-key -- turns of a row never change places
          <div key={i} className={classes.previewTurn}><span className="dim">{message.role}</span><p>{message.content || <span className="faint">empty</span>}</p></div>
        ))}
      {'rejected' in preview && preview.rejected !== null && (
        <div className={classes.previewTurn} data-testid="rejected-preview"><span className="dim">rejected</span><p><span className="faint">Kept for later, not trained.</span> {preview.rejected}</p></div>
      )}
    </li>
  );
}

export function MappingView({ dataset }: { dataset: DatasetSummary }) {
  const [draft, setDraft] = useState(dataset.mapping);
  const [saving, setSaving] = useState(false);
  const missing = missingPart(draft);
  const previews = usePreviews(dataset, draft, missing === null);
  const changed = !sameMapping(draft, dataset.mapping);
  const setPart = (name: MappingPart, field: string | null) => setDraft((d) => {
    const { [name]: _, ...others } = d;
    return field ? { ...others, [name]: field } : others;
  });
  const save = async () => {
    setSaving(true);
    await setMapping(draft);
    setSaving(false);
  };
  return (
    <div className={classes.mapping} data-testid="mapping">
      <p className="dim">{dataset.detectedBecause}</p>
      <div className={classes.mappingForm}>
        <Select label="Shape of a row" data={SHAPES} value={draft.shape} allowDeselect={false} onChange={(v) => v && setDraft(forShape(draft, v as Mapping['shape']))} />
        {PARTS[draft.shape].map(({ part, label, required }) => (
          <Select
            key={part} label={label} data={dataset.fields} value={draft[part] ?? null} placeholder={required ? 'Choose a field' : 'None'}
            clearable={!required} error={required && !draft[part] ? 'Needed' : undefined} onChange={(v) => setPart(part, v)}
            clearButtonProps={{ 'aria-label': `No field for ${label.toLowerCase()}` }}
          />
        ))}
      </div>
      {(changed || missing) && (
        <div>
          <Button onClick={() => void save()} disabled={missing !== null || saving}>Use this mapping</Button>{' '}
          {changed && <Button variant="subtle" onClick={() => setDraft(dataset.mapping)}>Undo</Button>}
          {missing && <p className="caption">{missing}</p>}
        </div>
      )}
      <section>
        <h2 style={{ fontSize: 15, lineHeight: '20px', marginBottom: 10 }}>The first rows, as they will be</h2>
        <ol className={classes.previews}>
          {/* oxlint-disable-next-line react/no-array-index-key -- the index is the row */}
          {previews.map((preview, i) => <Preview key={i} index={i} preview={preview} />)}
        </ol>
      </section>
    </div>
  );
}
