/**
 * Each detector on planted rows (precision and recall by construction) and on real ones: 160 rows of three public sets,
 * where every row it names was looked at by hand.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { alternation } from '../../src/data/detectors/alternation.ts';
import { lengthOutliers } from '../../src/data/detectors/answerLength.ts';
import { echo } from '../../src/data/detectors/echo.ts';
import { edgeSpace } from '../../src/data/detectors/edgeSpace.ts';
import { languageOf } from '../../src/data/detectors/language.ts';
import { mojibake } from '../../src/data/detectors/mojibake.ts';
import { NearDuplicates } from '../../src/data/detectors/nearDuplicates.ts';
import { lookAlike, pii } from '../../src/data/detectors/pii.ts';
import { refusals } from '../../src/data/detectors/refusals.ts';
import type { RowLook } from '../../src/data/detectors/rowLook.ts';
import type { Message } from '../../src/data/types.ts';

interface Labelled { source: string; prompt: string; answer: string }
const REAL = JSON.parse(readFileSync(fileURLToPath(new URL('../fixtures/datasets/labelled.json', import.meta.url)), 'utf8')) as Labelled[];
const ask = (prompt: string, answer: string): Message[] => [{ role: 'user', content: prompt }, { role: 'assistant', content: answer }];
const named = (detector: RowLook): number[] => REAL.flatMap(({ prompt, answer }, i) => (detector.look(ask(prompt, answer)) === null ? [] : [i]));
/** Share of planted texts found, and share of clean texts left alone. */
const judge = (detector: RowLook, planted: Message[][], clean: Message[][]) => ({
  missed: planted.filter((row) => detector.look(row) === null).map((row) => row.map((m) => m.content).join(' | ')),
  wrong: clean.filter((row) => detector.look(row) !== null).map((row) => row.map((m) => m.content).join(' | ')),
});
const FOUND_ALL = { missed: [], wrong: [] };

describe('Refusals and boilerplate', () => {
  it('are found in all of 12 planted answers and in none of 8 honest ones', () => {
    const planted = ["I'm sorry, but I can't assist with that.", 'I am sorry, I cannot help with this.', 'As an AI language model, I have no feelings.', 'Sorry, I cannot provide that information.',
      'I apologize, but I am unable to answer.', 'Unfortunately, I do not have access to your files.', "I can't help with that request.", 'I’m sorry, but as an AI I do not know.',
      'My knowledge cutoff is 2021.', 'I am unable to create images.', "I'm just an AI assistant.", "I won't provide instructions for that."].map((answer) => ask('q', answer));
    const clean = ['I cannot believe it, she said, and left.', 'Sorry is a word that people say after a mistake.', 'An AI model is a program.', 'You can help by recycling.', 'Dear Sir, I am sorry to hear of your loss.',
      'The assistant helped the customer.', 'He will not give up.', 'Cats can not fly.'].map((answer) => ask('q', answer));
    expect(judge(refusals, planted, clean)).toEqual(FOUND_ALL);
  });

  it('named in 160 real rows are all such', () => {
    // Read by hand: each refuses, or speaks of itself as an AI model or assistant.
    expect(named(refusals)).toEqual([43, 67, 80, 82, 95, 107]);
  });
});

describe('Wrong encoding', () => {
  it('is found in all planted texts and in none of the foreign ones', () => {
    const texts = ['Déjà vu – l’été', 'Größe und Maß', 'naïve café', '“quoted” — dash', 'señor', '日本語の文章', '😀 smile', 'Ελληνικά'];
    // UTF-8 read as Latin-1 or Windows-1252, as it happens.
    const windows = new TextDecoder('windows-1252');
    const planted = texts.slice(0, 7).map((text) => ask('q', windows.decode(new TextEncoder().encode(text))));
    planted.push(ask('q', 'broken \uFFFD here'), ask('q\u0000', 'a'), ask('q', 'half \uD83D pair'));
    const clean = [...texts, 'Âge, Ãvila and â are letters', 'São Paulo', 'ÄÖÜ', 'tab\tand\nline', 'Español ¿qué?', 'x² ± 3 €', 'Ça va? Où?', 'AÇÃO e CORAÇÃO'].map((text) => ask('q', text));
    expect(judge(mojibake, planted, clean)).toEqual(FOUND_ALL);
  });

  it('is named in no real row that is in order', () => {
    // dpo_en_demo's row 15 is broken as published ("fiancÃ© Cal Hockley").
    expect(named(mojibake)).toEqual([115]);
  });
});

describe('Look-alikes of personal data', () => {
  it('are found by kind, and those made for examples are not', () => {
    expect(['Mail jane.roe@gmail.com now', 'Call +44 20 7946 0958', 'Call (212) 736-5000', 'key sk-abcdefghijklmnopqrstuvwx', 'hf_abcdefghijklmnopqrstuvwxyzABCD', 'card 4111 1111 1111 1111', 'AKIAIOSFODNN7EXAMPLE', '-----BEGIN RSA PRIVATE KEY-----'].map(lookAlike)).toEqual([
      'an e-mail address', 'a phone number', 'a phone number', 'a secret key', 'a secret key', 'a payment card number', 'a secret key', 'a secret key']);
    expect(['you@example.com', 'name@yourcompany.com', '(555) 123-4567', '555-010-1234', 'card 4111 1111 1111 1112', 'pi is 3.14159265358979', '1234567890123', 'in 2001-2015', '355909190063-746', 'from 10-20-2010 to 11-30-2011', 'user@host', 'ISBN 978-3-16-148410-0', '1,000,000,000'].map(lookAlike).filter((found) => found !== null)).toEqual([]);
  });

  it('named in real rows have an address in them', () => {
    for (const i of named(pii)) expect(REAL[i]!.prompt + REAL[i]!.answer).toMatch(/[\w.]+@\w+\.\w+|\d{3}[-. ]\d{4}/);
    expect(named(pii).length).toBeLessThanOrEqual(3);
  });
});

describe('Answers that repeat the prompt', () => {
  const question = 'What is the capital of Norway, and how many people live there?';
  it('are found, and answers that take up a few words are not', () => {
    expect(judge(echo, [ask(question, `${question} It is Oslo.`), ask('Say hi', 'say  HI'), ask(question, question)],
      [ask(question, 'The capital of Norway is Oslo.'), ask('Oslo', 'Oslo is a city.'), ask(question, '')])).toEqual(FOUND_ALL);
    expect(named(echo)).toEqual([]);
  });
});

describe('The order of turns', () => {
  const talk = (roles: string): Message[] => roles.split('').map((role) => ({ role: ({ s: 'system', u: 'user', a: 'assistant', c: 'assistant', t: 'tool' } as const)[role as 's']!, content: 'x', ...(role === 'c' ? { toolCalls: [{ name: 'f', arguments: {} }] } : {}) }));
  it('is broken in each planted way, and in order in each way that is', () => {
    expect(judge(alternation, ['uua', 'a', 'uaa', 'usa', 'u', 'uau', 'uta', 'ucua'].map(talk), ['ua', 'sua', 'uaua', 'ucta', 'uctta', 'uctcta', 'uc'].map(talk))).toEqual(FOUND_ALL);
    expect(named(alternation)).toEqual([]);
  });
});

describe('White space at the ends of answers', () => {
  it('is found in answers alone', () => {
    expect(judge(edgeSpace, [ask('q', ' a'), ask('q', 'a\n')], [ask(' q ', 'a'), ask('q', 'a b'), ask('q', '  ')])).toEqual(FOUND_ALL);
  });
});

describe('The guess of a language', () => {
  const TEXTS: Record<string, string[]> = {
    English: ['The house stood at the end of the road and nobody had lived in it for years.', 'You can use this function to sort the list of names by their length.'],
    German: ['Das Haus stand am Ende der Straße und niemand hatte seit Jahren in dem Haus gewohnt.', 'Die Funktion sortiert eine Liste von Namen und ist nicht auf eine Länge beschränkt.'],
    French: ['La maison se trouvait au bout de la route et personne ne vivait dans cette maison depuis des années.', 'Vous pouvez trier la liste des noms par la longueur avec cette fonction.'],
    Spanish: ['La casa estaba al final de la calle y nadie había vivido en ella por muchos años, pero era muy bonita.', 'Se puede ordenar la lista de los nombres por su longitud con esta función para que sea más clara.'],
    Italian: ['La casa era alla fine della strada e nessuno ci viveva da anni, ma il giardino era ancora bello e non abbandonato.'],
    Dutch: ['Het huis stond aan het einde van de weg en niemand had er in jaren gewoond.'],
    Chinese: ['这座房子在路的尽头，多年来没有人住在里面。'], Japanese: ['その家は道の終わりにあり、何年も誰も住んでいませんでした。'], Korean: ['그 집은 길 끝에 있었고 몇 년 동안 아무도 살지 않았다.'],
    'Cyrillic script': ['Дом стоял в конце дороги, и много лет в нём никто не жил.'], 'Arabic script': ['كان البيت في نهاية الطريق ولم يسكنه أحد منذ سنوات.'],
  };
  it('is right on every planted text and silent on code, names and figures', () => {
    for (const [language, texts] of Object.entries(TEXTS)) expect(texts.map(languageOf)).toEqual(texts.map(() => language));
    expect(['x = [1, 2, 3]', 'Oslo, Lima, Bern, Wien, Kyiv, Rome, Bonn, Riga, Oulu', '12 + 13 = 25', 'Yes.', '5 apples per box per day per person per week per month per year'].map(languageOf).filter((found) => found !== null)).toEqual([]);
  });

  it('calls none of 160 English rows foreign but the two that are', () => {
    const foreign = REAL.flatMap(({ answer }, i) => ([null, 'English'].includes(languageOf(answer)) ? [] : [i]));
    // 129 is a translation into Spanish; a short one, 110, says too little.
    expect(foreign.filter((i) => i !== 110)).toEqual([129]);
  });
});

describe('Lengths of answers', () => {
  it('far from the set are named; a set of short answers has none', () => {
    const lengths = Int32Array.from({ length: 200 }, (_, i) => 300 + i);
    lengths[7] = 3;
    lengths[9] = 0;
    lengths[11] = 9000;
    expect(lengthOutliers(lengths)).toMatchObject({ short: Int32Array.of(7), long: Int32Array.of(11) });
    expect(lengthOutliers(Int32Array.from({ length: 200 }, (_, i) => 1 + (i % 9)))).toMatchObject({ short: new Int32Array(), long: new Int32Array() });
  });
});

describe('Rows made to keep a detector busy', () => {
  it.each(['x', '1', '1 ', '-', '@', 'a@', 'a.', '\u00e3\u0080', '{{', '+1 ', 'as an ai ', '\u4e00', 'I am sorry '])('of a megabyte of %j take no longer than a megabyte does', (unit) => {
    const row = ask(unit.repeat(1e6 / unit.length), unit.repeat(1e6 / unit.length));
    const begun = performance.now();
    for (const { look } of [refusals, echo, mojibake, pii, alternation, edgeSpace]) look(row);
    languageOf(row[1]!.content);
    new NearDuplicates(1).add(0, row);
    // Quadratic work would be hours.
    expect(performance.now() - begun).toBeLessThan(20_000);
  });
});

describe('Near duplicates', () => {
  const find = async (rows: Message[][], copies = new Int32Array()) => {
    const near = new NearDuplicates(rows.length);
    rows.forEach((row, i) => near.add(i, row));
    near.leaveOut(copies);
    return near.find(async (indices) => indices.map((i) => rows[i]!));
  };
  const rows = REAL.map(({ prompt, answer }) => ask(prompt, answer));

  it('of 160 real rows: the pair that is one, found; nothing else named', async () => {
    const { rows: found, firstOf } = await find(rows);
    // 134 and 136 ask the same in the same words and differ in a line of the answer.
    expect([...found].map((row, i) => [firstOf[i], row])).toEqual([[134, 136]]);
  });

  it('of a set of over two million rows say that not all were compared', async () => {
    const near = new NearDuplicates(2 ** 21 + 1);
    for (const row of [0, 5, 2 ** 21]) near.add(row, rows[134]!);
    const { rows: found, firstOf, partial } = await near.find(async (indices) => indices.map(() => rows[134]!));
    expect([[...found], [...firstOf], partial, (await find(rows)).partial]).toEqual([[5], [0], true, false]);
  });

  it('planted by changed case, punctuation and one word in twenty are found to 95 %, and no sum with other figures is', async () => {
    const long = rows.filter((row) => row.map((m) => m.content).join(' ').split(/\s+/).length >= 60);
    const changed = long.map((row) => row.map(({ role, content }): Message => ({
      role, content: content.toUpperCase().split(' ').map((word, i) => (i % 25 === 24 && !/\d/.test(word) ? 'other' : word)).join(' ').replaceAll('!', '.'),
    })));
    const { rows: found, firstOf } = await find([...long, ...changed]);
    const right = [...found].filter((row, i) => row >= long.length && firstOf[i] === row - long.length).length;
    const wrong = [...found].filter((row, i) => row >= long.length && firstOf[i] !== row - long.length && long.length > firstOf[i]! && !changed[row - long.length]!.every((m, k) => m.content.slice(0, 20) === long[firstOf[i]!]![k]!.content.slice(0, 20).toUpperCase())).length;
    expect(long.length).toBeGreaterThan(80);
    expect(right / long.length).toBeGreaterThanOrEqual(0.95);
    expect(wrong).toBe(0);
    const sums = Array.from({ length: 50 }, (_, i) => ask(`A shop sells ${i + 3} boxes of twelve pencils each day of the week. How many pencils does the shop sell in one week of seven days?`, `It sells ${(i + 3) * 12} pencils a day, so in one week it sells ${(i + 3) * 84} pencils.`));
    expect((await find(sums)).rows).toHaveLength(0);
  });

  it('are not exact copies, and answers that differ make different rows', async () => {
    const text = 'Is this film review positive or negative? The film was long, the actors were tired and the music was far too loud for me.';
    expect((await find([ask(text, 'negative'), ask(text, 'negative')], Int32Array.of(1))).rows).toHaveLength(0);
    expect((await find([ask(text, 'negative'), ask(text, 'positive')])).rows).toHaveLength(0);
    expect((await find([ask(text, 'negative'), ask(`${text} `, 'Negative.')])).rows).toEqual(Int32Array.of(1));
  });
});
