import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern, PatternError } from '../../src/formats/pathPattern.ts';

const PATHS = ['model.layers.0.self_attn.q_proj', 'model.layers.11.mlp.up_proj', 'model.layers.3.mlp.gate_proj', 'q_proj', ''];

describe('a pattern for module paths', () => {
  it.each([
    '.*', '.*q_proj', '.*\\.(q|v)_proj', '.*(self_attn|mlp)\\.\\w+', 'model\\.layers\\.(0|[1-9]\\d*)\\..*proj', '.*layers\\.[0-3]\\..*', '.*\\.(?:up|gate)_proj', '^model.*proj$',
    '.*[^.]+_proj', '.*\\.\\d{1,2}\\..*', '.*\\.\\d{2}\\..*', 'q_pro?j', '(?P<all>.*)', '.*?proj', '.+', '', '(q_proj|)', '[a-z_.0-9]*', '\\D*', '(a|b)*', '.*\\.mlp\\..*', '[\\w.]+',
  ])('%s matches as a regular expression does', (pattern) => {
    const ours = compilePattern(pattern);
    const theirs = new RegExp(`^(?:${pattern.replaceAll('?P<', '?<')})$`, 'u');
    for (const path of PATHS) expect(ours(path), path).toBe(theirs.test(path));
  });

  it('made of any known pieces matches as a regular expression does', () => {
    const atom = fc.constantFrom('a', 'b', '.', '\\.', '[ab]', '[^a]', '\\d', '\\w', '1');
    const pattern = fc.letrec<{ node: string }>((tie) => ({
      node: fc.oneof({ maxDepth: 3 }, atom, fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b), fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(${a}|${b})`),
        fc.tuple(tie('node'), fc.constantFrom('*', '+', '?', '{2}', '{0,2}', '{1,}', '*?')).map(([a, q]) => `(?:${a})${q}`)),
    })).node;
    fc.assert(fc.property(pattern, fc.string({ unit: fc.constantFrom('a', 'b', '.', '1'), maxLength: 8 }), (p, text) => {
      expect(compilePattern(p)(text)).toBe(new RegExp(`^(?:${p})$`, 'u').test(text));
    }), { numRuns: 500 });
  });

  it('that would keep a backtracking matcher busy for ever is decided at once', () => {
    const started = performance.now();
    expect(compilePattern('(a+)+b')('a'.repeat(5000))).toBe(false);
    expect(compilePattern('(a|a|.)*(.*.*)*x')('a'.repeat(5000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it.each([
    ['(?=x)q', '(?='], ['(?<!a)b', '(?<!'], ['(a)\\1', '\\1'], ['a**', 'two repetitions'], ['*a', 'repeats nothing'], ['(a', 'not closed'], ['a)', 'closes nothing'], ['[a', 'not closed'],
    ['a^b', '^ stands'], ['a$b', '$ stands'], ['\\', 'backslash'], ['a{3,1}', 'counts down'], ['a{x}', '{ stands'], ['((a{100}){100}){100}', 'too many'], ['a'.repeat(3000), '3000 characters'], ['('.repeat(60), 'too deep'],
  ])('%s is refused by what is not known', (pattern, words) => {
    expect(() => compilePattern(pattern)).toThrow(PatternError);
    expect(() => compilePattern(pattern)).toThrow(words);
  });
});
