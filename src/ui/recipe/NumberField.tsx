/** A number as text, so that 2e-4 can be typed; kept only when the schema takes it, bounds in words when not. */
import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { formatSetting, type Setting } from '../../config/settings.ts';
import { setSetting, useRecipe } from '../../stores/recipe.ts';
import { formatRate } from '../format.ts';

const RATES = new Set(['training.learningRate', 'training.adamEpsilon']);

export const shownNumber = (path: string, value: number | null): string =>
  (value === null ? '' : RATES.has(path) ? formatRate(value) : formatSetting(value).replaceAll(',', ''));

/** What the text means: a number, null for an empty field, NaN for anything else. Takes 1,024 and 2e-4. */
export function parseNumber(text: string): number | null {
  const plain = text.trim().replaceAll(',', '');
  if (plain === '') return null;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : Number.NaN;
}

interface NumberFieldProps { setting: Setting; value: number | null; describedBy?: string; width?: number }

export function NumberField({ setting, value, describedBy, width = 132 }: NumberFieldProps) {
  const { path } = setting;
  const invalid = useRecipe((s) => s.invalid[path]);
  // While a hand is in the field its text stands; otherwise it follows the recipe, or what the recipe did not take.
  const [typed, setTyped] = useState<string | null>(null);

  const change = (text: string) => {
    setTyped(text);
    setSetting(setting.group, setting.name, parseNumber(text), text);
  };
  return (
    <TextInput
      w={width} value={typed ?? invalid ?? shownNumber(path, value)} aria-label={setting.label} inputMode="decimal" autoComplete="off" spellCheck={false}
      error={invalid !== undefined} aria-describedby={describedBy} data-testid={`setting-${path}`}
      rightSection={setting.unit ? <span className="dim" style={{ fontSize: 13 }}>{setting.unit}</span> : undefined}
      rightSectionWidth={setting.unit ? setting.unit.length * 7 + 20 : undefined} rightSectionPointerEvents="none"
      placeholder={'nullable' in setting && setting.nullable ? 'not set' : undefined}
      onChange={(e) => change(e.currentTarget.value)} onBlur={() => setTyped(null)}
    />
  );
}
