import '@mantine/core/styles.css';
import { MantineProvider } from '@mantine/core';
import { createRoot } from 'react-dom/client';
import { styleNonce } from './ui/styleNonce.ts';

const root = document.getElementById('root');
if (root !== null) {
  createRoot(root).render(<MantineProvider getStyleNonce={() => styleNonce} defaultColorScheme="auto">Etude</MantineProvider>);
}
