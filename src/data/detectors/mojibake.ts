/**
 * Owns text that was decoded as the wrong encoding: UTF-8 read as Windows-1252 or Latin-1 (Ã©, â€™), replacement
 * characters, and control characters that no text has.
 */
import type { RowLook } from './rowLook.ts';

/** A UTF-8 lead byte read as Latin-1, and behind it what its continuation bytes look like in Windows-1252. */
const CONTINUATION = '[\\u0080-\\u00bf\\u20ac\\u201a\\u0192\\u201e\\u2026\\u2020\\u2021\\u02c6\\u2030\\u0160\\u2039\\u0152\\u017d\\u2018\\u2019\\u201c\\u201d\\u2022\\u2013\\u2014\\u02dc\\u2122\\u0161\\u203a\\u0153\\u017e\\u0178]';
const MOJIBAKE = new RegExp(`\\u00e2[\\u20ac\\u0080]${CONTINUATION}|[\\u00c3\\u00c2](?=[\\u0080-\\u00bf])[\\u0080-\\u00bf]|\\u00f0[\\u0178\\u009f]${CONTINUATION}{2}|[\\u00e3-\\u00e9]${CONTINUATION}{2}(?:[\\u00e3-\\u00e9]${CONTINUATION}{2})+|\\u00ef\\u00bb\\u00bf`);
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const BROKEN = /\ufffd|[\u0000-\u0008\u000e-\u001a\u001c-\u001f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

export const mojibake: RowLook = {
  kind: 'mojibake',
  look(messages) {
    for (const { content } of messages) {
      const found = MOJIBAKE.exec(content) ?? BROKEN.exec(content);
      if (found) return content.slice(Math.max(0, found.index - 12), found.index + found[0].length + 12);
    }
    return null;
  },
};
