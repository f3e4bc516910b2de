/**
 * Owns look-alikes of personal data and secrets: e-mail addresses, phone numbers, keys of known services, payment cards by
 * their check digit. A look-alike is no proof: addresses of example domains and numbers of fiction are left alone.
 */
import type { RowLook } from './rowLook.ts';

/** Lengths are bounded as addresses are: a megabyte of one letter must not take minutes. */
const EMAIL = /(?<![\w.%+-])[A-Za-z0-9][\w.%+-]{0,63}@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})\b/g;
const EXAMPLE_HOST = /(?:^|\.)(?:example|test|invalid|domain|email|mail|company|website|yourcompany|mycompany|abc|xyz)\.|\.(?:example|test|invalid|local)$/i;
/** International, or North American with its usual marks; 555 is the number of films. */
const PHONE = /(?<![\w.+-])(?:\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,4}\d{2,4}|\(\d{3}\) ?\d{3}[-. ]\d{4}|\d{3}[-.]\d{3}[-.]\d{4})(?![\w-])/g;
const KEY = /\b(?:sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|hf_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|xox[abprs]-[A-Za-z0-9-]{10,}|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/;
const CARD = /(?<![\d.-])(?:\d[ -]?){12,18}\d(?![\d.-])/g;

export const pii: RowLook = {
  kind: 'pii',
  look(messages) {
    for (const { content } of messages) {
      const found = lookAlike(content);
      if (found !== null) return found;
    }
    return null;
  },
};

/** What kind of look-alike a text holds; the text itself is not repeated. */
export function lookAlike(text: string): string | null {
  if (KEY.test(text)) return 'a secret key';
  for (const [match] of text.matchAll(CARD)) if (isCard(match)) return 'a payment card number';
  for (const [, host] of text.matchAll(EMAIL)) if (!EXAMPLE_HOST.test(host!)) return 'an e-mail address';
  for (const [match] of text.matchAll(PHONE)) {
    const digits = match.replaceAll(/\D/g, '');
    if (digits.length >= 10 && digits.length <= 15 && !/555|^(?:123|0+$)|1234567/.test(digits)) return 'a phone number';
  }
  return null;
}

/** Visa, Mastercard, American Express, Discover, Diners or JCB by its first digits and length, and Luhn's check digit. */
function isCard(text: string): boolean {
  const digits = text.replaceAll(/\D/g, '');
  if (!/^(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}|6(?:011|5\d{2})\d{12}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14})$/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
