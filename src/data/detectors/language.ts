/**
 * Owns a rough guess of a row's language: by script, and among Latin scripts by a short list of the commonest words of
 * each language. It knows eleven languages of Latin script, needs 8 words to speak, and is silent about code and names:
 * it tells that a set mixes languages, not which language a sentence is in.
 */
import type { Message } from '../types.ts';
import { isAscii, wordsOf } from './words.ts';

const SCRIPTS: [name: string, script: RegExp][] = [
  ['Chinese', /\p{Script=Han}/gu], ['Japanese', /[\p{Script=Hiragana}\p{Script=Katakana}]/gu], ['Korean', /\p{Script=Hangul}/gu],
  ['Cyrillic script', /\p{Script=Cyrillic}/gu], ['Arabic script', /\p{Script=Arabic}/gu], ['Devanagari', /\p{Script=Devanagari}/gu],
  ['Greek', /\p{Script=Greek}/gu], ['Hebrew', /\p{Script=Hebrew}/gu], ['Thai', /\p{Script=Thai}/gu],
];

const COMMON: Record<string, string> = {
  English: 'the of and to is that it for was with as are this be by from you have not which or an at can they your how what will their',
  German: 'der die und das ist nicht ein eine den mit sich auf für von dem zu im auch wird werden oder wie bei einer sind ich sie',
  French: 'le la les des et est une du dans pour que qui pas sur plus par avec ce sont au aux ne vous nous cette être ou',
  Spanish: 'el los las una del por con para que es se lo como más pero sus son está fue al su esta entre cuando muy también',
  Italian: 'il di che è una per sono della con non del le gli alla nel anche più questo dei come ma si delle essere',
  Portuguese: 'os uma não com para que é dos das ao mais como foi ele pelo pela são também sua você seu em um isso está',
  Dutch: 'het een van en dat niet zijn op voor met ook wordt aan bij naar deze als maar worden er hebben je kan wordt door',
  Polish: 'nie się jest na że do jak ale co to po tak przez od dla przy są oraz jego które może czy tylko',
  Turkish: 'bir ve bu için ile da de olarak çok daha gibi kadar olan sonra en ama değil ne ya her ise',
  Swedish: 'och att det som en på är av för med till den har inte om ett men var kan från jag eller hur',
  Indonesian: 'yang dan di untuk dengan pada ini dari dalam adalah tidak itu akan atau oleh dapat juga saya sebagai lebih',
};
const LANGUAGES = new Map<string, string[]>();
for (const [language, list] of Object.entries(COMMON)) for (const word of list.split(' ')) LANGUAGES.set(word, [...(LANGUAGES.get(word) ?? []), language]);

/** Words that are looked at. */
const MOST_CHARS = 1500;
const FEWEST_WORDS = 8;

/** The language of a text, or null where too little speaks for one. */
export function languageOf(text: string): string | null {
  const sample = text.slice(0, MOST_CHARS).replaceAll(/```[^]*?(?:```|$)|https?:\S+|`[^`]*`/g, ' ');
  const letters = sample.match(/\p{L}/gu)?.length ?? 0;
  if (letters < 4) return null;
  const found = isAscii(sample) ? [] : SCRIPTS.map(([name, script]) => [name, sample.match(script)?.length ?? 0] as const).filter(([, count]) => count > 0);
  const inScripts = found.reduce((sum, [, count]) => sum + count, 0);
  if (inScripts > letters / 2) {
    const kana = found.find(([name]) => name === 'Japanese')?.[1] ?? 0;
    if (kana > letters / 10) return 'Japanese';
    return found.reduce((best, one) => (one[1] > best[1] ? one : best))[0];
  }
  const words = wordsOf(sample);
  if (words.length < FEWEST_WORDS) return null;
  const votes = new Map<string, number>();
  const distinct = new Map<string, Set<string>>();
  for (const word of words) {
    for (const language of LANGUAGES.get(word) ?? []) {
      votes.set(language, (votes.get(language) ?? 0) + 1);
      distinct.set(language, (distinct.get(language) ?? new Set()).add(word));
    }
  }
  // One word said often ("per hour", "per day") is no language.
  const [first, second] = [...votes].filter(([language]) => distinct.get(language)!.size >= 3).sort((a, b) => b[1] - a[1]);
  // A tenth of a running text are its commonest words; a list of names has none.
  if (!first || first[1] < Math.max(2, words.length * 0.1) || (second && first[1] < second[1] * 1.3)) return null;
  return first[0];
}

/** The language of a row's answers. */
export const languageOfRow = (messages: readonly Message[]): string | null =>
  languageOf(messages.filter((message) => message.role === 'assistant').map((message) => message.content).join('\n').slice(0, MOST_CHARS));
