/** How many cases a property test tries: n in `npm test`, ETUDE_FUZZ times as many in `npm run proof`. */
export const runs = (n: number): number => n * Number(process.env['ETUDE_FUZZ'] ?? 1);
