/**
 * Owns the running of a Jinja template the way Hugging Face transformers runs it, on @huggingface/jinja, with a pinned
 * clock. Refuses to know what the template is for.
 */
import { Environment, Interpreter, Template } from '@huggingface/jinja';

import { skeletonOf, type Skeleton } from './jinjaTrace.ts';
import { pythonStrip } from './pythonStrip.ts';

type Program = Template['parsed'];

/** A node of the syntax tree, as far as the rewriting needs it. */
interface Node {
  type?: string;
  value?: unknown;
  callee?: Node;
  args?: Node[];
  object?: Node;
  property?: Node;
  operand?: Node;
  filter?: Node;
  [key: string]: unknown;
}

export class JinjaTemplate {
  readonly #program: Program;

  /** Throws what the parser throws. */
  constructor(source: string) {
    this.#program = new Template(source).parsed;
    stripLikePython(this.#program as unknown as Node);
  }

  /** Throws where the template does, `raise_exception` included. */
  render(variables: Record<string, unknown>): string {
    const environment = new Environment(GLOBAL_SCOPE);
    for (const [name, value] of Object.entries(variables)) environment.set(name, value);
    return (new Interpreter(environment).run(this.#program) as { value: string }).value;
  }

  /** What the template writes whatever the texts are that `variables` have marks for; null where that depends on them. */
  skeleton(variables: Record<string, unknown>): Skeleton | null {
    return skeletonOf(this.#program, GLOBALS, STRIPS, variables);
  }
}

const STRIP_SIDES: Record<string, 'both' | 'left' | 'right'> = { strip: 'both', trim: 'both', lstrip: 'left', rstrip: 'right' };
const STRIP_FUNCTION = '__python_strip_';

/**
 * @huggingface/jinja 0.5.11 ignores the argument of strip, lstrip and rstrip, and strips what JavaScript calls white
 * space. Qwen3's template says `content.lstrip('\n')`, so an answer that starts with spaces came out without them.
 * Calls and the trim filter are redirected to Python's rules; delete this when the package follows them.
 */
function stripLikePython(node: Node): void {
  for (const [key, child] of Object.entries(node)) {
    if (Array.isArray(child)) for (const item of child) visit(item);
    else visit(child);
    function visit(value: unknown): void {
      if (typeof value === 'object' && value !== null && key !== 'parent') stripLikePython(value as Node);
    }
  }
  const method = node.callee?.type === 'MemberExpression' ? (node.callee.property?.value as string) : undefined;
  if (node.type === 'CallExpression' && method !== undefined && Object.hasOwn(STRIP_SIDES, method) && method !== 'trim') {
    node.args = [node.callee!.object!, ...(node.args ?? [])];
    node.callee = { type: 'Identifier', value: STRIP_FUNCTION + STRIP_SIDES[method] };
  } else if (node.type === 'FilterExpression' && node.filter?.type === 'Identifier' && node.filter.value === 'trim') {
    node.args = [node.operand!];
    node.type = 'CallExpression';
    node.callee = { type: 'Identifier', value: `${STRIP_FUNCTION}both` };
  }
}

/** 26 July 2024, the date Llama 3.1 and 3.2 print when they are given none. */
const PINNED_CLOCK: Record<string, string> = {
  Y: '2024', y: '24', m: '07', d: '26', b: 'Jul', B: 'July', a: 'Fri', A: 'Friday', H: '00', M: '00', S: '00', j: '208', '%': '%',
};

function strip(side: 'both' | 'left' | 'right') {
  return (text: unknown, chars?: unknown): string => pythonStrip(typeof text === 'string' ? text : '', side, typeof chars === 'string' ? chars : undefined);
}

const GLOBALS = {
  true: true, false: false, none: null, True: true, False: false, None: null,
  raise_exception: (message: string) => {
    throw new Error(message);
  },
  range: (start: number, stop?: number, step = 1) => {
    const [from, to] = stop === undefined ? [0, start] : [start, stop];
    return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, i) => from + i * step);
  },
  strftime_now: (format: string) => format.replaceAll(/%([A-Za-z%])/g, (code, letter: string) => PINNED_CLOCK[letter] ?? code),
  [`${STRIP_FUNCTION}both`]: strip('both'),
  [`${STRIP_FUNCTION}left`]: strip('left'),
  [`${STRIP_FUNCTION}right`]: strip('right'),
};

/** Functions that are given a text and the characters to take from its ends, by the side they take them from. */
const STRIPS: Record<string, 'both' | 'left' | 'right'> = { [`${STRIP_FUNCTION}both`]: 'both', [`${STRIP_FUNCTION}left`]: 'left', [`${STRIP_FUNCTION}right`]: 'right' };

const GLOBAL_SCOPE = new Environment();
for (const [name, value] of Object.entries(GLOBALS)) GLOBAL_SCOPE.set(name, value);
