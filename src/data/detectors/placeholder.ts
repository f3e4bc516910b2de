/** Owns placeholders that nobody filled in: {{name}}, {{ user.name }}. */
import type { Message } from '../types.ts';

const PLACEHOLDER = /\{\{\s*[A-Za-z_][\w.-]*\s*\}\}/g;

/** All of a row's, as they stand there. */
export const placeholdersOf = (messages: readonly Message[]): string[] => messages.flatMap((message) => message.content.match(PLACEHOLDER) ?? []);
