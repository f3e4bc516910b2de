/** Puts the studio on the page with a given worker client. */
import '@mantine/core/styles.layer.css';
import './theme/fonts.css';
import './theme/global.css';
import { MantineProvider } from '@mantine/core';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { followHash } from '../stores/session.ts';
import { openFragment } from '../stores/share.ts';
import { connect } from '../stores/wiring.ts';
import type { WorkerClient } from '../worker/client.ts';
import { App } from './shell/App.tsx';
import { adoptTheme, theme } from './theme/theme.ts';

export function mount(root: HTMLElement, client: WorkerClient): void {
  adoptTheme(document);
  connect(client);
  openFragment(location.hash);
  followHash();
  window.addEventListener('hashchange', () => { openFragment(location.hash); followHash(); });
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
        <App />
      </MantineProvider>
    </StrictMode>,
  );
}
