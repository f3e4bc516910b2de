/**
 * Owns matching a module path against a pattern as adapter_config.json may hold one (Python's `re`), in time that grows
 * with the length of pattern and path alone: patterns come from strangers, and a backtracking matcher can be made to hang.
 * Knows literals, `.`, classes, `\d \w \s`, groups, `|`, `* + ? {m,n}` (greedy or lazy, which is the same for a whole match)
 * and anchors at the ends; look-around and back-references are refused. Method: Thompson's simulation of all states at once.
 */

/** The pattern uses something this matcher does not know; `message` says what. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

type Node =
  | { kind: 'empty' }
  | { kind: 'char'; test: (c: string) => boolean }
  | { kind: 'then' | 'or'; items: Node[] }
  | { kind: 'repeat'; item: Node; min: number; max: number };

const MAX_PATTERN = 2000;
/** States after {m,n} is written out. */
const MAX_STATES = 20_000;

const CLASSES: Record<string, (c: string) => boolean> = {
  d: (c) => c >= '0' && c <= '9', w: (c) => /^[\p{L}\p{N}_]$/u.test(c), s: (c) => /^\s$/.test(c),
};
const NEGATED: Record<string, string> = { D: 'd', W: 'w', S: 's' };

/** A test for whole paths. Throws PatternError. */
export function compilePattern(pattern: string): (path: string) => boolean {
  if (pattern.length > MAX_PATTERN) throw new PatternError(`it has ${pattern.length} characters; at most ${MAX_PATTERN} are read`);
  const program = assemble(parse(pattern));
  return (path) => run(program, path);
}

function parse(pattern: string): Node {
  const chars = Array.from(pattern);
  let at = 0;
  let depth = 0;
  const peek = (): string | undefined => chars[at];
  const fail = (detail: string): never => {
    throw new PatternError(detail);
  };

  function alternatives(): Node {
    const items = [sequence()];
    while (peek() === '|') {
      at++;
      items.push(sequence());
    }
    return items.length === 1 ? items[0]! : { kind: 'or', items };
  }

  function sequence(): Node {
    const items: Node[] = [];
    for (let c = peek(); c !== undefined && c !== '|' && c !== ')'; c = peek()) items.push(repeated(atom()));
    return { kind: 'then', items };
  }

  function repeated(item: Node): Node {
    const c = peek();
    let bounds: [number, number] | null = null;
    if (c === '*') bounds = [0, Infinity];
    else if (c === '+') bounds = [1, Infinity];
    else if (c === '?') bounds = [0, 1];
    else if (c === '{') {
      const match = /^\{(\d{1,4})?(,(\d{1,4})?)?\}/.exec(chars.slice(at, at + 12).join(''));
      if (!match || (match[1] === undefined && match[3] === undefined)) fail('{ stands for itself only as \\{');
      const min = Number(match![1] ?? 0);
      bounds = [min, match![2] === undefined ? min : match![3] === undefined ? Infinity : Number(match![3])];
      if (bounds[1] < min) fail(`${match![0]} counts down`);
      at += match![0].length - 1;
    }
    if (!bounds) return item;
    at++;
    if (peek() === '?') at++;
    if (peek() === '*' || peek() === '+' || peek() === '{') fail('two repetitions follow each other');
    return { kind: 'repeat', item, min: bounds[0], max: bounds[1] };
  }

  function atom(): Node {
    const c = chars[at++]!;
    switch (c) {
      case '.': return { kind: 'char', test: (x) => x !== '\n' };
      case '(': return group();
      case '[': return characterClass();
      case '\\': return { kind: 'char', test: escaped() };
      case '^': return at === 1 ? { kind: 'empty' } : fail('^ stands elsewhere than at the start');
      case '$': return at === chars.length ? { kind: 'empty' } : fail('$ stands elsewhere than at the end');
      case '*': case '+': case '?': return fail(`${c} repeats nothing`);
      default: return { kind: 'char', test: (x) => x === c };
    }
  }

  function group(): Node {
    if (++depth > 50) fail('its groups nest too deep');
    if (peek() === '?') {
      const named = /^\?P<\w+>/.exec(chars.slice(at, at + 80).join(''));
      if (chars[at + 1] === ':') at += 2;
      else if (named) at += named[0].length;
      else fail(`(${chars.slice(at, at + 3).join('')} is not known here`);
    }
    const inner = alternatives();
    if (chars[at++] !== ')') fail('a group is not closed');
    depth--;
    return inner;
  }

  function escaped(): (c: string) => boolean {
    const c = chars[at++] ?? fail('it ends with a backslash');
    if (CLASSES[c]) return CLASSES[c];
    const negated = NEGATED[c];
    if (negated) return (x) => !CLASSES[negated]!(x);
    if (/[\p{L}\p{N}]/u.test(c)) fail(`\\${c} is not known here`);
    return (x) => x === c;
  }

  function characterClass(): Node {
    const not = peek() === '^';
    if (not) at++;
    const tests: ((c: string) => boolean)[] = [];
    for (let first = true; first || peek() !== ']'; first = false) {
      const c = chars[at++] ?? fail('a class is not closed');
      if (c === '\\') {
        tests.push(escaped());
      } else if (peek() === '-' && chars[at + 1] !== undefined && chars[at + 1] !== ']') {
        const to = chars[at + 1]!;
        if (to === '\\' || to < c) fail(`the range ${c}-${to} is not known here`);
        at += 2;
        tests.push((x) => x >= c && x <= to);
      } else {
        tests.push((x) => x === c);
      }
    }
    at++;
    return { kind: 'char', test: (x) => tests.some((test) => test(x)) !== not };
  }

  const node = alternatives();
  if (at < chars.length) fail('a ) closes nothing');
  return node;
}

/** `next` are the states reached without a character; a state with a test leads to the one behind it. */
interface State {
  test: ((c: string) => boolean) | null;
  next: number[];
}

function assemble(root: Node): State[] {
  const states: State[] = [];
  const add = (state: State): number => {
    if (states.length >= MAX_STATES) throw new PatternError('its repetitions are too many');
    return states.push(state) - 1;
  };
  // Each piece runs from its first state to the state that will come right behind its last.
  function emit(node: Node): void {
    switch (node.kind) {
      case 'empty': return;
      case 'char': add({ test: node.test, next: [] }); return;
      case 'then': node.items.forEach(emit); return;
      case 'or': {
        const fork = add({ test: null, next: [] });
        const ends: number[] = [];
        for (const item of node.items) {
          states[fork]!.next.push(states.length);
          emit(item);
          ends.push(add({ test: null, next: [] }));
        }
        for (const end of ends) states[end]!.next.push(states.length);
        return;
      }
      case 'repeat': {
        for (let i = 0; i < node.min; i++) emit(node.item);
        if (node.max === Infinity) {
          const fork = add({ test: null, next: [] });
          states[fork]!.next.push(states.length);
          emit(node.item);
          add({ test: null, next: [fork] });
          states[fork]!.next.push(states.length);
          return;
        }
        const forks: number[] = [];
        for (let i = node.min; i < node.max; i++) {
          const fork = add({ test: null, next: [] });
          forks.push(fork);
          states[fork]!.next.push(states.length);
          emit(node.item);
        }
        for (const fork of forks) states[fork]!.next.push(states.length);
      }
    }
  }
  emit(root);
  return states;
}

function run(states: State[], path: string): boolean {
  const closure = (from: number[]): Set<number> => {
    const reached = new Set<number>();
    const open = [...from];
    while (open.length > 0) {
      const at = open.pop()!;
      if (reached.has(at)) continue;
      reached.add(at);
      const state = states[at];
      if (state && !state.test) open.push(...state.next);
    }
    return reached;
  };
  let current = closure([0]);
  for (const c of path) {
    const after: number[] = [];
    for (const at of current) if (states[at]?.test?.(c)) after.push(at + 1);
    if (after.length === 0) return false;
    current = closure(after);
  }
  return current.has(states.length);
}
