/** Owns every colour of the interface, one table a scheme. Charts, tokens and Mantine read only these. */

export interface Palette {
  page: string; surface: string; sunken: string;
  hairline: string; line2: string; control: string;
  ink: string; dim: string; faint: string;
  accent: string; onAccent: string; accentHover: string; tint: string; onTint: string;
  noticeFill: string; noticeBorder: string;
  warning: string; warningMark: string; warningFill: string; warningBorder: string;
  error: string; errorFill: string; errorBorder: string;
  ghost: string; grid: string; aux: string;
  memoryWeights: string; memoryActivations: string; memoryLogits: string;
  segment: string;
  run2: string; run4: string; run5: string;
}

export const LIGHT: Palette = {
  page: '#FBFBF9', surface: '#FFFFFF', sunken: '#F3F3F0',
  hairline: '#E2E2DC', line2: '#CFCFC8', control: '#868C8E',
  ink: '#16191A', dim: '#50575A', faint: '#696F72',
  accent: '#0B6170', onAccent: '#FFFFFF', accentHover: '#084E5B', tint: '#D9EDEF', onTint: '#064955',
  noticeFill: '#EAF5F6', noticeBorder: '#86B5BD',
  warning: '#855000', warningMark: '#B26A00', warningFill: '#FBF0DC', warningBorder: '#E7CD9C',
  error: '#A3211B', errorFill: '#FBE9E6', errorBorder: '#D38F8B',
  ghost: '#86B5BD', grid: '#EBEBE6', aux: '#7B8487',
  memoryWeights: '#7B8487', memoryActivations: '#B9BFC0', memoryLogits: '#DDE0DF',
  segment: '#FFFFFF',
  run2: '#D0610A', run4: '#7A5CC9', run5: '#C2548C',
};

export const DARK: Palette = {
  page: '#111416', surface: '#171B1D', sunken: '#0B0E0F',
  hairline: '#2A3033', line2: '#3A4145', control: '#6D767A',
  ink: '#E9EBEA', dim: '#A9B0B3', faint: '#8F979A',
  accent: '#6CC4D1', onAccent: '#16191A', accentHover: '#3FA9B8', tint: '#123B43', onTint: '#B5E6ED',
  noticeFill: '#14292E', noticeBorder: '#3B7480',
  warning: '#EDB461', warningMark: '#E0A03F', warningFill: '#261F14', warningBorder: '#54421F',
  error: '#FF9A8D', errorFill: '#351B18', errorBorder: '#90544D',
  ghost: '#3B7480', grid: '#22282B', aux: '#8F979A',
  memoryWeights: '#8F979A', memoryActivations: '#5A6366', memoryLogits: '#33393C',
  segment: '#2A3033',
  run2: '#F2A057', run4: '#A98DF0', run5: '#E06AA4',
};

const kebab = (name: string): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`).replace(/(\D)(\d)/g, '$1-$2');

/** `--etude-line-2` and the like: the names the stylesheets use. */
export const etudeVariables = (palette: Palette): Record<string, string> =>
  Object.fromEntries(Object.entries(palette).map(([name, value]) => [`--etude-${kebab(name)}`, value as string]));
