/** Settings in words: what a recipe changes against another, line by line. */
import type { Recipe } from '../../config/recipe.ts';
import { formatSetting, getSetting, settings } from '../../config/settings.ts';
import { modulesText, TEMPLATE_NAMES } from '../names.ts';

export interface Change { path: string; label: string; from: string; to: string }

export function settingText(path: string, value: unknown): string {
  if (value === null || value === undefined) return 'not set';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (path === 'lora.targetModules' && Array.isArray(value)) return modulesText(value as string[]);
  if (path === 'data.template') return TEMPLATE_NAMES[value as keyof typeof TEMPLATE_NAMES];
  if (typeof value === 'number') return formatSetting(value);
  if (typeof value === 'object' && !Array.isArray(value)) return tableText(value as Record<string, number>);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** "code 2, chat 0.5". */
export const tableText = (table: Record<string, number>): string =>
  Object.entries(table).map(([name, value]) => `${name} ${formatSetting(value)}`).join(', ') || 'none';

/** What `to` sets differently from `from`. */
export function recipeChanges(from: Recipe, to: Recipe): Change[] {
  const changes: Change[] = [];
  for (const [path, setting] of settings()) {
    const before = settingText(path, getSetting(from, path));
    const after = settingText(path, getSetting(to, path));
    if (before !== after) changes.push({ path, label: setting.label, from: before, to: after });
  }
  return changes;
}
