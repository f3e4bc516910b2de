/**
 * Owns the list of settings as a form needs them, read from the schemas in recipe.ts: label, help, bounds, default.
 * Also the two things a form says about a value: out of bounds (not allowed) and unusual (allowed). No layout.
 */
import { z } from 'zod';
import { dataConfigSchema, loraConfigSchema, trainingConfigSchema, type Recipe, type SettingHelp } from './recipe.ts';

export type SettingGroup = 'data' | 'lora' | 'training';

export type SettingKind =
  | { kind: 'integer' | 'number'; min: number; max: number; /** `min` itself is not allowed. */ aboveMin: boolean; /** An empty field is allowed and means null. */ nullable: boolean }
  | { kind: 'boolean' }
  | { kind: 'choice'; options: string[] }
  | { kind: 'choices'; options: string[] }
  /** Numbers by name, such as a weight for each task. */
  | { kind: 'table'; min: number; max: number; whole: boolean };

export type Setting = SettingHelp & SettingKind & {
  /** e.g. 'lora.r'. */
  path: string;
  group: SettingGroup;
  name: string;
  default: unknown;
};

/** `error` is the bounds in words; `unusual` a line of advice for an allowed value. Both null: nothing to say. */
export interface SettingCheck {
  error: string | null;
  unusual: string | null;
}

const SCHEMAS = { lora: loraConfigSchema, training: trainingConfigSchema, data: dataConfigSchema } as const;

/** The parts of JSON Schema that zod writes for our schemas. */
interface JsonSchema {
  type?: string;
  default?: unknown;
  setting?: SettingHelp;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  enum?: string[];
  items?: JsonSchema;
  additionalProperties?: JsonSchema;
  anyOf?: JsonSchema[];
}

let table: Map<string, Setting> | null = null;

/** Every setting by path, in the order of recipe.ts. */
export function settings(): ReadonlyMap<string, Setting> {
  table ??= new Map((Object.keys(SCHEMAS) as SettingGroup[]).flatMap(readGroup).map((setting) => [setting.path, setting]));
  return table;
}

function readGroup(group: SettingGroup): Setting[] {
  const { properties = {} } = z.toJSONSchema(SCHEMAS[group], { io: 'input' }) as { properties?: Record<string, JsonSchema> };
  return Object.entries(properties).map(([name, schema]) => {
    if (!schema.setting) throw new Error(`${group}.${name} has no label and help in recipe.ts`);
    return { ...schema.setting, ...readKind(schema), path: `${group}.${name}`, group, name, default: schema.default };
  });
}

function readKind(schema: JsonSchema): SettingKind {
  const inner = schema.anyOf?.find((option) => option.type !== 'null') ?? schema;
  if (inner.type === 'boolean') return { kind: 'boolean' };
  if (inner.type === 'array') return { kind: 'choices', options: inner.items?.enum ?? [] };
  if (inner.type === 'object') {
    const { minimum = -Infinity, maximum = Infinity, type } = inner.additionalProperties ?? {};
    return { kind: 'table', min: minimum, max: maximum, whole: type === 'integer' };
  }
  if (inner.enum) return { kind: 'choice', options: inner.enum };
  return {
    kind: inner.type === 'integer' ? 'integer' : 'number',
    min: inner.exclusiveMinimum ?? inner.minimum ?? -Infinity,
    max: inner.maximum ?? Infinity,
    aboveMin: inner.exclusiveMinimum !== undefined,
    nullable: schema.anyOf !== undefined,
  };
}

/** A number as a person writes it in a field: 2e-4, 0.05, 1,024. */
export function formatSetting(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential().replace('e+', 'e');
  return value.toLocaleString('en-US', { maximumFractionDigits: 6 });
}

/** "A whole number from 1 to 256." */
export function boundsInWords(setting: Setting): string {
  switch (setting.kind) {
    case 'boolean': return 'On or off.';
    case 'choice': return `One of ${setting.options.join(', ')}.`;
    case 'choices': return `At least one of ${setting.options.join(', ')}, each once.`;
    case 'table': return `Names with ${setting.whole ? 'whole numbers' : 'numbers'} from ${formatSetting(setting.min)} to ${formatSetting(setting.max)}, at most 32.`;
    case 'integer':
    case 'number': {
      const { min, max, aboveMin, nullable } = setting;
      const what = setting.kind === 'integer' ? 'A whole number' : 'A number';
      const range = aboveMin ? `above ${formatSetting(min)} and at most ${formatSetting(max)}` : `from ${formatSetting(min)} to ${formatSetting(max)}`;
      return `${what} ${range}${nullable ? ', or empty' : ''}.`;
    }
  }
}

/** What a form says about `value` in the field of `path`. An unknown path throws: it is a fault in the form. */
export function checkSetting(path: string, value: unknown): SettingCheck {
  const setting = settings().get(path);
  if (!setting) throw new RangeError(`no setting is called ${path}`);
  const schema = (SCHEMAS[setting.group].shape as Record<string, z.ZodType>)[setting.name]!;
  if (value === undefined || !schema.safeParse(value).success) return { error: boundsInWords(setting), unusual: null };
  const { usual } = setting;
  const outside = usual !== undefined && typeof value === 'number' && (value < usual[0] || value > usual[1]);
  return { error: null, unusual: outside ? `Unusual. Most runs use ${formatSetting(usual[0])} to ${formatSetting(usual[1])}.` : null };
}

/** The value at `path` in a recipe. */
export function getSetting(recipe: Recipe, path: string): unknown {
  const setting = settings().get(path);
  if (!setting) throw new RangeError(`no setting is called ${path}`);
  return (recipe[setting.group] as Record<string, unknown>)[setting.name];
}

/** A copy of the recipe with another value at `path`; the value is not checked. */
export function withSetting(recipe: Recipe, path: string, value: unknown): Recipe {
  const setting = settings().get(path);
  if (!setting) throw new RangeError(`no setting is called ${path}`);
  return { ...recipe, [setting.group]: { ...recipe[setting.group], [setting.name]: value } };
}
