/**
 * Owns running a chat template once for all conversations of the same roles: its contents are marks instead of text, and whatever
 * the template asks about a content is noted as a condition. Where the conditions hold, the template writes its constant pieces
 * with the contents between them, and need not be run again. Refuses to guess: a template that does anything else with a content
 * (cuts it, counts it, writes it as JSON) has no skeleton and is run every time.
 */
import { Environment, Interpreter, type Template } from '@huggingface/jinja';

import { pythonStrip } from './pythonStrip.ts';

type Program = Template['parsed'];
type Side = 'both' | 'left' | 'right';

/** What must be true of the content of message `of`. Each also holds for the content with private-use characters around it where it holds without. */
export type Condition =
  | { kind: 'filled'; of: number }
  | { kind: 'lacks' | 'beginsOtherwise' | 'endsOtherwise' | 'differs'; of: number; text: string }
  | { kind: 'stripped'; of: number; side: Side; chars: string | undefined };

/** `pieces[0]`, the content of message `order[0]`, `pieces[1]`, … and a last piece. */
export interface Skeleton { pieces: readonly string[]; order: readonly number[]; conditions: readonly Condition[] }

const OPEN = '\uE000';
const CLOSE = '\uE001';
const MARK = /\uE000(\d+)\uE001/;
const ONE_MARK = /^\uE000(\d+)\uE001$/;
const PRIVATE = /[\uE000-\uF8FF]/;

/** Stands for the content of a message. */
export const markOf = (message: number): string => `${OPEN}${message}${CLOSE}`;

class Untraceable extends Error {}
const leave = (): never => {
  throw new Untraceable();
};

/** A text that holds marks. Library code may join it to other text and nothing else: it has no method of a string. */
class Opaque {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** The message whose content this is; throws where it is more than that. */
  get of(): number {
    const mark = ONE_MARK.exec(this.text);
    return mark ? Number(mark[1]) : leave();
  }

  get length(): number {
    return leave();
  }

  toJSON(): never {
    return leave();
  }

  valueOf(): never {
    return leave();
  }

  toString(): string {
    return this.text;
  }
}

interface Value { type: string; value: unknown; builtins: unknown; __bool__(): Value }
interface Node { type: string; value?: unknown; left?: Node; right?: Node; operator?: { value: string }; computed?: boolean; property?: Node; test?: Node; callee?: Node; args?: Node[] }
type Run<N = Node> = (this: void, node: N, environment: Environment) => Value;
/** The interpreter's methods that see values; its declarations hide them. */
interface Inner {
  evaluate: Run;
  wrap: (value: Value) => Value;
  evaluateBinaryExpression: Run;
  evaluateMemberExpression: Run;
  evaluateTestExpression: Run;
  evaluateCallExpression: Run;
  applyFilter: (operand: Value, filter: Node, environment: Environment) => Value;
}

/** Statements that hand text on without its being evaluated. */
const UNTRACED = ['FilterStatement', 'CallStatement'];
/** Tests that look at the type of a value alone. */
const TYPE_TESTS = ['string', 'defined', 'undefined', 'none', 'mapping', 'sequence', 'iterable', 'number', 'integer', 'boolean', 'callable', 'true', 'false'];
const FILTERS = { StringValue: ['safe', 'string', 'default'], ArrayValue: ['length', 'first', 'last', 'list', 'reverse', 'default'] } as Record<string, string[]>;

const isOpaque = (value: Value): value is Value & { value: Opaque } => value.value instanceof Opaque;
const holdsMark = ({ value }: Value): boolean => value instanceof Opaque || (typeof value === 'string' && value.includes(OPEN));

/**
 * The skeleton of a program whose `variables` hold marks; null where it has none. `globals` are the functions a template may call;
 * those in `strips` get a text and the characters to take from its ends.
 */
export function skeletonOf(program: Program, globals: Record<string, unknown>, strips: Record<string, Side>, variables: Record<string, unknown>): Skeleton | null {
  const source = JSON.stringify(program);
  if (PRIVATE.test(source) || UNTRACED.some((type) => source.includes(`"${type}"`))) return null;
  const conditions: Condition[] = [];
  const strip = (side: Side) => (text: unknown, chars?: unknown): string => {
    const set = typeof chars === 'string' ? chars : undefined;
    if (!(text instanceof Opaque)) return chars instanceof Opaque ? leave() : pythonStrip(typeof text === 'string' ? text : '', side, set);
    if (chars instanceof Opaque) leave();
    conditions.push({ kind: 'stripped', of: text.of, side, chars: set });
    return text.text;
  };
  const environment = new Environment();
  const traced = Object.fromEntries(Object.entries(strips).map(([name, side]) => [name, strip(side)]));
  try {
    for (const [name, value] of Object.entries({ ...globals, ...traced, ...variables })) environment.set(name, value);
    const inner = watched(environment, conditions);
    for (const name of Object.keys(variables)) hide(environment.lookupVariable(name) as unknown as Value, inner);
    const written = inner.evaluate(program as unknown as Node, environment).value;
    return cut(written instanceof Opaque ? written.text : String(written), conditions);
  } catch {
    // What the template refuses is refused by the run that follows.
    return null;
  }
}

/** Wraps every text with marks, however deep it lies: a list is written as JSON without its texts being evaluated. */
function hide(value: Value, inner: Inner): void {
  inner.wrap(value);
  const held = value.value;
  if (Array.isArray(held)) for (const item of held as Value[]) hide(item, inner);
  else if (held instanceof Map) for (const item of held.values() as Iterable<Value>) hide(item, inner);
}

/** An interpreter that answers questions about marks as `conditions` say, and throws where it cannot. */
function watched(environment: Environment, conditions: Condition[]): Inner {
  const inner = new Interpreter(environment) as unknown as Inner;
  const base = Interpreter.prototype as unknown as { [K in Exclude<keyof Inner, 'wrap'>]: (this: Inner, ...args: Parameters<Inner[K]>) => Value };
  const made = new Environment();
  let names = 0;
  const valueOf = (value: unknown): Value => made.set(`v${names++}`, value) as unknown as Value;
  /** A node whose value is known. */
  const known = (value: Value): Node => ({ type: 'Evaluated', value });
  const literal = (value: unknown): string => (typeof value === 'string' && value !== '' && !/[\d\uE000-\uF8FF]/.test(value) ? value : leave());

  const wrap = inner.wrap = (value: Value): Value => {
    if (typeof value.value !== 'string' || !value.value.includes(OPEN)) return value;
    const opaque = new Opaque(value.value);
    value.value = opaque;
    value.__bool__ = () => {
      // Text beside marks makes it true, whatever stands for them.
      if (opaque.text.split(MARK).every((part, i) => i % 2 === 1 || part === '')) conditions.push({ kind: 'filled', of: opaque.of });
      return valueOf(true);
    };
    const asks = (kind: 'beginsOtherwise' | 'endsOtherwise') => valueOf((text: unknown) => {
      conditions.push({ kind, of: opaque.of, text: literal(text) });
      return false;
    });
    const methods: Record<string, () => Value> = { startswith: () => asks('beginsOtherwise'), endswith: () => asks('endsOtherwise') };
    Object.defineProperty(value, 'builtins', { value: { get: (name: string) => (Object.hasOwn(methods, name) ? methods[name]!() : leave()) } });
    return value;
  };

  inner.evaluate = (node, env) => (node?.type === 'Evaluated' ? (node.value as Value) : wrap(base.evaluate.call(inner, node, env)));

  inner.evaluateBinaryExpression = (node, env) => {
    const operator = node.operator!.value;
    if (operator === 'and' || operator === 'or') return base.evaluateBinaryExpression.call(inner, node, env);
    const [left, right] = [inner.evaluate(node.left!, env), inner.evaluate(node.right!, env)];
    const listed = Array.isArray(right.value) && (right.value as Value[]).some(holdsMark);
    const asIs = operator === '+' || operator === '~' || !(isOpaque(left) || isOpaque(right) || (listed && operator.endsWith('in')));
    if (asIs) return base.evaluateBinaryExpression.call(inner, { ...node, left: known(left), right: known(right) }, env);
    if (listed || (isOpaque(left) && isOpaque(right))) return leave();
    const [opaque, other] = isOpaque(right) ? [right.value, left] : [left.value as Opaque, right];
    if (operator === '==' || operator === '!=') {
      // A text is no null, number or list, whatever it says.
      if (other.type !== 'StringValue') return other.type === 'NullValue' || other.type === 'UndefinedValue' ? valueOf(operator === '!=') : leave();
      if (other.value === '') conditions.push({ kind: 'filled', of: opaque.of });
      else conditions.push({ kind: 'differs', of: opaque.of, text: literal(other.value) });
      return valueOf(operator === '!=');
    }
    if (!isOpaque(right) || (operator !== 'in' && operator !== 'not in')) return leave();
    conditions.push({ kind: 'lacks', of: opaque.of, text: literal(other.value) });
    return valueOf(operator === 'not in');
  };

  inner.evaluateMemberExpression = (node, env) => {
    if (!node.computed || node.property!.type === 'SliceExpression') return base.evaluateMemberExpression.call(inner, node, env);
    const property = inner.evaluate(node.property!, env);
    return isOpaque(property) ? leave() : base.evaluateMemberExpression.call(inner, { ...node, property: known(property) }, env);
  };

  inner.evaluateTestExpression = (node, env) => (TYPE_TESTS.includes(String(node.test!.value)) ? base.evaluateTestExpression.call(inner, node, env) : leave());

  inner.evaluateCallExpression = (node, env) => {
    if (node.callee!.type !== 'MemberExpression') return base.evaluateCallExpression.call(inner, node, env);
    // A method of another value would look at a text that it is given.
    const args = node.args!.map((arg) => (/Keyword|Spread/.test(arg.type) ? leave() : inner.evaluate(arg, env)));
    return args.some(isOpaque) ? leave() : base.evaluateCallExpression.call(inner, { ...node, args: args.map(known) }, env);
  };

  inner.applyFilter = (operand, filter, env) => {
    const name = String((filter.type === 'CallExpression' ? filter.callee : filter)?.value);
    return FILTERS[operand.type]?.includes(name) ? base.applyFilter.call(inner, operand, filter, env) : leave();
  };
  return inner;
}

function cut(text: string, conditions: Condition[]): Skeleton {
  const parts = text.split(MARK);
  const seen = new Set<string>();
  return {
    pieces: parts.filter((_, i) => i % 2 === 0), order: parts.flatMap((part, i) => (i % 2 === 1 ? [Number(part)] : [])),
    conditions: conditions.filter((condition) => {
      const key = JSON.stringify(condition);
      return !seen.has(key) && seen.add(key);
    }),
  };
}

/** Whether the skeleton is what the template writes of these contents. */
export function holds({ conditions }: Skeleton, messages: readonly { content: string }[]): boolean {
  return conditions.every((condition) => {
    const { content } = messages[condition.of]!;
    switch (condition.kind) {
      case 'filled': return content !== '';
      case 'lacks': return !content.includes(condition.text);
      case 'beginsOtherwise': return !content.startsWith(condition.text);
      case 'endsOtherwise': return !content.endsWith(condition.text);
      case 'differs': return content !== condition.text;
      case 'stripped': return pythonStrip(content, condition.side, condition.chars).length === content.length;
    }
  });
}
