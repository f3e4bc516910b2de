import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { contentSecurityPolicyPlugin, hubEndpoint } from './scripts/contentSecurityPolicy.ts';
import { offlinePlugin, SERVICE_WORKER } from './scripts/offlinePlugin.ts';

const nonce = randomBytes(16).toString('base64url');
const page = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export default defineConfig(({ mode }) => ({
  // Relative addresses, so that the built folder works from any sub-path of any host.
  base: './',
  plugins: [react(), contentSecurityPolicyPlugin(nonce), offlinePlugin()],
  define: { ETUDE_HUB_ENDPOINT: JSON.stringify(hubEndpoint()) },
  html: { cspNonce: nonce },
  worker: { format: 'es' },
  // The worker's dependencies are found before the page asks for them: one found late would reload the page.
  optimizeDeps: { entries: ['index.html', 'headless.html', 'src/worker/worker.ts'] },
  build: {
    target: 'es2023',
    // A data: address for a small font or icon would break the Content-Security-Policy.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
    // Mode 'headless' builds the page of the command line alone (src/cli/browserRun.ts).
    rolldownOptions: {
      input: { headless: page('headless.html'), ...(mode === 'headless' ? {} : { index: page('index.html'), sw: page('src/offline/serviceWorker.ts') }) },
      // A service worker lies beside the page it serves, under a name that stays.
      output: { entryFileNames: (chunk) => (chunk.name === 'sw' ? SERVICE_WORKER : 'assets/[name]-[hash].js') },
    },
  },
}));
