/** The whole row: on or off, and where training puts it. */
import { Switch } from '@mantine/core';
import { useEffect, useState } from 'react';
import { currentDataset, useData } from '../../stores/data.ts';
import { setRowTrained, useFixes } from '../../stores/dataFixes.ts';
import { trainingPlace, type InspectTarget } from '../../stores/inspect.ts';
import { usePlan } from '../../stores/plan.ts';
import { useRecipe } from '../../stores/recipe.ts';
import type { InspectedRow, TrainingPlace } from '../../stores/types.ts';
import { formatWhole } from '../format.ts';
import classes from './Mask.module.css';
import { fileOf } from './rows/words.ts';

export function RowSwitch({ row, target }: { row: InspectedRow; target: InspectTarget }) {
  const busy = useFixes((s) => s.busy !== null);
  const trained = row.leftOutBy === undefined;
  return (
    <Switch
      size="xs" className={classes.rowSwitch} checked={trained && row.refused === undefined} disabled={busy || row.refused !== undefined} data-testid="row-switch"
      label="Train this row"
      onChange={(e) => void setRowTrained(target.datasetId, target.index, e.currentTarget.checked)}
    />
  );
}

const SHOWN = 6;

/** "rows 3, 8 and 12", 1-based. Pure. */
export function rowsInWords(rows: readonly number[]): string {
  const numbers = rows.slice(0, SHOWN).map((row) => formatWhole(row + 1));
  const more = rows.length - numbers.length;
  const last = more > 0 ? `${formatWhole(more)} more` : numbers.pop();
  return `${rows.length === 1 ? 'row' : 'rows'} ${numbers.length > 0 ? `${numbers.join(', ')} and ` : ''}${last}`;
}

/** Where the row lies in training, in a sentence; null where there is nothing to say. Pure. */
export function placeWords({ part, pack }: TrainingPlace, index: number): string | null {
  if (part === 'heldOut') return 'Held out for validation: it is asked and never trained.';
  if (!pack) return null;
  const { number, of, from, tokens, capacity, rows } = pack;
  const others = rows.filter((row) => row !== index);
  const beside = others.length > 0 ? `with ${rowsInWords(others)}` : 'alone';
  return `Packed sequence ${formatWhole(number + 1)} of ${formatWhole(of)}, from position ${formatWhole(from)} of ${formatWhole(tokens)} tokens (${formatWhole(capacity)} fit), ${beside}. Packed rows do not see each other.`;
}

/** Where this row goes, once the report is made: its packed sequence, or held out. */
export function RowPlace({ row, target }: { row: InspectedRow; target: InspectTarget }) {
  const file = useData((s) => fileOf(currentDataset(s)?.files, row.index));
  const recipe = useRecipe((s) => s.recipe);
  const asked = usePlan((s) => s.report.value !== null && !s.report.stale && !s.report.busy);
  const [found, setFound] = useState<{ of: InspectedRow; place: TrainingPlace } | null>(null);
  useEffect(() => {
    let current = true;
    if (asked) void trainingPlace(target, recipe).then((place) => { if (current && place) setFound({ of: row, place }); });
    return () => { current = false; };
  }, [asked, row, target, recipe]);
  const words = asked && found?.of === row ? placeWords(found.place, row.index) : null;
  return (
    <>
      {row.leftOutBy && <p className={`${classes.warn} ${classes.note}`} data-testid="row-left-out">Left out of training by: {row.leftOutBy.join('; ')}. The record of changes names it; switch the row on to train it all the same.</p>}
      {file !== null && row.line > 0 && <p className={classes.place}>Line {formatWhole(row.line)} of {file}</p>}
      {words && <p className={classes.place} data-testid="row-place">{words}</p>}
    </>
  );
}
