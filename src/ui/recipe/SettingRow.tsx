/** One setting: name, reason and usual range as text, its control at the right, a ruler below the simple ones. */
import { Checkbox, Select, Switch } from '@mantine/core';
import { useId, type ReactNode } from 'react';
import { boundsInWords, checkSetting, formatSetting, getSetting, type Setting } from '../../config/settings.ts';
import { setSetting, useRecipe } from '../../stores/recipe.ts';
import { tableText } from '../share/settingsText.ts';
import { NumberField } from './NumberField.tsx';
import classes from './Recipe.module.css';
import { RulerSlider } from './RulerSlider.tsx';
import { rulerFor } from './rulers.ts';

const CHOICE_NAMES: Record<string, string> = {
  model: "The model's own", chatml: 'ChatML', llama3: 'Llama 3', alpaca: 'Alpaca', linear: 'Linear', cosine: 'Cosine', constant: 'Constant',
  asItIs: 'As it is', balanced: 'Balanced', temperature: 'Temperature', own: 'Own weights', task: 'Task', file: 'File',
};

function Control({ setting, value, describedBy }: { setting: Setting; value: unknown; describedBy: string }) {
  const change = (next: unknown) => setSetting(setting.group, setting.name, next);
  switch (setting.kind) {
    case 'boolean':
      return <Switch size="sm" aria-label={setting.label} aria-describedby={describedBy} checked={value === true} onChange={(e) => change(e.currentTarget.checked)} data-testid={`setting-${setting.path}`} />;
    case 'choice':
      return (
        <Select
          w={170} aria-label={setting.label} aria-describedby={describedBy} allowDeselect={false} value={String(value)} onChange={(v) => v && change(v)}
          data={setting.options.map((o) => ({ value: o, label: CHOICE_NAMES[o] ?? o }))} data-testid={`setting-${setting.path}`}
        />
      );
    case 'choices':
      return <Choices setting={setting} value={value as string[]} onChange={change} />;
    case 'table':
      return <span className="dim" aria-describedby={describedBy} data-testid={`setting-${setting.path}`}>{tableText(value as Record<string, number>)}</span>;
    default:
      return <NumberField setting={setting} value={value as number | null} describedBy={describedBy} />;
  }
}

function Choices({ setting, value, onChange }: { setting: Setting & { kind: 'choices' }; value: string[]; onChange: (v: string[]) => void }) {
  // Kept in the schema's order, whatever the order of the clicks.
  const toggle = (option: string, on: boolean) => onChange(setting.options.filter((o) => (o === option ? on : value.includes(o))));
  return (
    <div className={classes.choices} role="group" aria-label={setting.label} data-testid={`setting-${setting.path}`}>
      {setting.options.map((o) => (
        <Checkbox
          key={o} size="xs" label={<span className="mono">{o}</span>} checked={value.includes(o)}
          disabled={value.length === 1 && value.includes(o)} onChange={(e) => toggle(o, e.currentTarget.checked)}
        />
      ))}
    </div>
  );
}

interface SettingRowProps { setting: Setting; help?: ReactNode; withRuler?: boolean }

/** "Usually 8 to 32." where the help does not say it already. */
function usualText(setting: Setting): string {
  if (!setting.usual || /usually/i.test(setting.help)) return '';
  return ` Usually ${formatSetting(setting.usual[0])} to ${formatSetting(setting.usual[1])}.`;
}

export function SettingRow({ setting, help, withRuler = false }: SettingRowProps) {
  const id = useId();
  const value = useRecipe((s) => getSetting(s.recipe, setting.path));
  const invalid = useRecipe((s) => s.invalid[setting.path] !== undefined);
  const { unusual } = checkSetting(setting.path, value);
  const number = typeof value === 'number' ? value : null;
  const ruler = withRuler && number !== null ? rulerFor(setting.path, number) : null;
  return (
    <div className={classes.setting} data-setting={setting.path}>
      <div className={classes.words}>
        <h2>{setting.label}</h2>
        <p id={id} className="dim">{help ?? `${setting.help}${usualText(setting)}`}</p>
        {invalid && <p className={classes.bad} role="alert">{boundsInWords(setting)}{usualText({ ...setting, help: '' })}</p>}
        {!invalid && unusual && <p className={classes.unusual}>{unusual}</p>}
      </div>
      <div className={classes.control}><Control setting={setting} value={value} describedBy={id} /></div>
      {ruler && number !== null && (
        <RulerSlider ruler={ruler} value={number} usual={setting.usual} label={setting.label} onChange={(v) => setSetting(setting.group, setting.name, v)} />
      )}
    </div>
  );
}
