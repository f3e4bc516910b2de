/** Mantine's settings, and the style sheet made of them without an inline <style> element. */
import {
  convertCssVariables, createTheme, defaultCssVariablesResolver, mergeMantineTheme, DEFAULT_THEME,
  type CSSVariablesResolver, type MantineColorsTuple,
} from '@mantine/core';
import { DARK, etudeVariables, LIGHT, type Palette } from './palette.ts';

const tuple = (text: string): MantineColorsTuple => text.split(' ') as unknown as MantineColorsTuple;

export const theme = createTheme({
  primaryColor: 'petrol',
  primaryShade: { light: 7, dark: 4 },
  autoContrast: true,
  white: '#FFFFFF',
  black: '#16191A',
  defaultRadius: 'sm',
  cursorType: 'pointer',
  respectReducedMotion: true,
  focusRing: 'auto',
  colors: {
    petrol: tuple('#EAF5F6 #D9EDEF #B5E0E6 #8AD3DD #6CC4D1 #3FA9B8 #1E8696 #0B6170 #084E5B #06343D'),
    gray: tuple('#FBFBF9 #F3F3F0 #EBEBE6 #E2E2DC #868C8E #696F72 #50575A #3A4043 #24292B #16191A'),
    dark: tuple('#E9EBEA #C9CECF #A9B0B3 #8F979A #6D767A #2A3033 #171B1D #111416 #0D1011 #0B0E0F'),
    amber: tuple('#FBF0DC #F6E2BD #E7CD9C #EDB461 #E0A03F #CC8A1E #B26A00 #855000 #54421F #261F14'),
    red: tuple('#FBE9E6 #F6D3CE #EBB3AC #FFB4A9 #FF9A8D #E0685C #C23F36 #A3211B #7D1914 #351B18'),
  },
  fontFamily: '"Geist Variable", system-ui, sans-serif',
  fontFamilyMonospace: '"Geist Mono Variable", ui-monospace, monospace',
  fontSizes: { xs: '12.5px', sm: '14px', md: '15px', lg: '18px', xl: '22px' },
  lineHeights: { xs: '1.45', sm: '1.45', md: '1.45', lg: '1.45', xl: '1.45' },
  fontWeights: { regular: '400', medium: '500', bold: '600' },
  headings: {
    fontWeight: '600',
    sizes: {
      h1: { fontSize: '22px', lineHeight: '28px' },
      h2: { fontSize: '15px', lineHeight: '20px' },
      h3: { fontSize: '14px', lineHeight: '20px' },
    },
  },
  spacing: { xs: '8px', sm: '12px', md: '16px', lg: '24px', xl: '40px' },
  radius: { xs: '4px', sm: '6px', md: '8px', lg: '10px' },
  components: {
    Button: { defaultProps: { variant: 'default', size: 'sm' } },
    ActionIcon: { defaultProps: { variant: 'default', size: 36 } },
    TextInput: { defaultProps: { size: 'sm' } },
    NumberInput: { defaultProps: { size: 'sm', hideControls: true } },
    Select: { defaultProps: { size: 'sm', checkIconPosition: 'right', comboboxProps: { shadow: 'sm' } } },
    Checkbox: { defaultProps: { radius: 'xs' } },
    Switch: { defaultProps: { withThumbIndicator: false } },
    SegmentedControl: { defaultProps: { size: 'sm', transitionDuration: 0 } },
    Alert: { defaultProps: { variant: 'light', radius: 'md' } },
    Table: { defaultProps: { verticalSpacing: 8, horizontalSpacing: 0 } },
    Tooltip: { defaultProps: { openDelay: 120, transitionProps: { duration: 120 } } },
    Popover: { defaultProps: { transitionProps: { duration: 120 } } },
    Menu: { defaultProps: { transitionProps: { duration: 120 } } },
    Progress: { defaultProps: { size: 4 } },
    Card: { defaultProps: { withBorder: true, radius: 'lg', shadow: undefined } },
    Anchor: { defaultProps: { underline: 'always' } },
  },
});

const mantineVariables = (p: Palette): Record<string, string> => ({
  '--mantine-color-body': p.page,
  '--mantine-color-text': p.ink,
  '--mantine-color-bright': p.ink,
  '--mantine-color-dimmed': p.dim,
  '--mantine-color-placeholder': p.faint,
  '--mantine-color-anchor': p.accent,
  '--mantine-color-default': p.surface,
  '--mantine-color-default-hover': p.sunken,
  '--mantine-color-default-color': p.ink,
  '--mantine-color-default-border': p.control,
  '--mantine-color-error': p.error,
  '--mantine-color-disabled': p.sunken,
  '--mantine-color-disabled-color': p.faint,
  '--mantine-color-disabled-border': p.hairline,
  '--mantine-color-petrol-light': p.tint,
  '--mantine-color-petrol-light-hover': p.tint,
  '--mantine-color-petrol-light-color': p.onTint,
  '--mantine-color-petrol-filled-hover': p.accentHover,
  '--mantine-primary-color-filled-hover': p.accentHover,
  '--mantine-primary-color-contrast': p.onAccent,
  '--mantine-color-petrol-contrast': p.onAccent,
  '--table-border-color': p.hairline,
  ...etudeVariables(p),
});

export const cssVariablesResolver: CSSVariablesResolver = () => ({
  variables: {},
  light: mantineVariables(LIGHT),
  dark: mantineVariables(DARK),
});

/** Every CSS variable of the theme as text. */
export function themeCss(): string {
  const full = mergeMantineTheme(DEFAULT_THEME, theme);
  const base = defaultCssVariablesResolver(full);
  const own = cssVariablesResolver(full);
  return convertCssVariables({
    variables: { ...base.variables, ...own.variables },
    light: { '--mantine-color-scheme': 'light', ...base.light, ...own.light },
    dark: { '--mantine-color-scheme': 'dark', ...base.dark, ...own.dark },
  }, ':root');
}

/** Adopts the variables as a constructed sheet: allowed under `style-src 'self'`, unlike a <style> element. */
export function adoptTheme(target: Document): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(themeCss());
  target.adoptedStyleSheets = [...target.adoptedStyleSheets, sheet];
}
