import { expect, test } from 'vitest';
import { DARK, etudeVariables, LIGHT, type Palette } from '../../src/ui/theme/palette.ts';
import { themeCss } from '../../src/ui/theme/theme.ts';

/** WCAG 2 relative luminance of #RRGGBB. */
function luminance(hex: string): number {
  const channel = (at: number) => {
    const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}

export function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].toSorted((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

const SCHEMES: [name: string, palette: Palette][] = [['light', LIGHT], ['dark', DARK]];

/** Text colour and every ground it stands on. */
const TEXT: [text: keyof Palette, grounds: (keyof Palette)[]][] = [
  ['ink', ['page', 'surface', 'sunken', 'segment', 'noticeFill', 'warningFill', 'errorFill']],
  ['dim', ['page', 'surface', 'sunken', 'errorFill']],
  ['faint', ['page', 'surface', 'sunken']],
  ['accent', ['page', 'surface', 'sunken']],
  ['onAccent', ['accent', 'accentHover']],
  ['onTint', ['tint']],
  ['warning', ['page', 'surface', 'warningFill']],
  ['error', ['page', 'surface', 'errorFill']],
];

/** What must be seen to be used or read as a mark. */
const MARKS: [mark: keyof Palette, grounds: (keyof Palette)[]][] = [
  ['control', ['page', 'surface']], ['accent', ['page', 'surface']], ['warningMark', ['page', 'warningFill']],
  ['aux', ['page']], ['ink', ['page']], ['run2', ['page']], ['run4', ['page']], ['run5', ['page']],
];

test('the ratio is WCAG’s: 21 for black on white, 1 for a colour on itself', () => {
  expect(contrast('#000000', '#FFFFFF')).toBeCloseTo(21, 5);
  expect(contrast('#868C8E', '#868C8E')).toBe(1);
});

for (const [scheme, palette] of SCHEMES) {
  test(`in the ${scheme} scheme every text has a contrast of at least 4.5 on every ground it stands on`, () => {
    for (const [text, grounds] of TEXT) {
      for (const ground of grounds) expect(contrast(palette[text], palette[ground]), `${text} on ${ground}`).toBeGreaterThanOrEqual(4.5);
    }
  });

  test(`in the ${scheme} scheme every control, mark and curve has a contrast of at least 3`, () => {
    for (const [mark, grounds] of MARKS) {
      for (const ground of grounds) expect(contrast(palette[mark], palette[ground]), `${mark} on ${ground}`).toBeGreaterThanOrEqual(3);
    }
  });
}

test('the ratios named in the design hold', () => {
  expect(contrast(LIGHT.ink, LIGHT.page)).toBeCloseTo(17.1, 0);
  expect(contrast(LIGHT.dim, LIGHT.page)).toBeCloseTo(7.1, 0);
  expect(contrast(LIGHT.faint, LIGHT.page)).toBeCloseTo(4.9, 0);
  expect(contrast(DARK.ink, DARK.page)).toBeCloseTo(15.4, 0);
  expect(contrast(DARK.control, DARK.page)).toBeCloseTo(4, 0);
});

test('the style sheet holds every colour of both schemes and Mantine’s variables', () => {
  const css = themeCss();
  for (const palette of [LIGHT, DARK]) {
    for (const [name, value] of Object.entries(etudeVariables(palette))) expect(css).toContain(`${name}: ${value}`);
  }
  expect(css).toContain('--mantine-color-petrol-7: #0B6170');
  expect(css).toContain('--etude-line-2');
});
