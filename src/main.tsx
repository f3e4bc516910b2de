import { mount } from './ui/mount.tsx';
import { registerServiceWorker } from './stores/updates.ts';
import { WorkerClient } from './worker/client.ts';

mount(document.getElementById('root')!, new WorkerClient());

// After what the page itself needs, so that the first visit is as fast as without.
if (import.meta.env.PROD) addEventListener('load', () => void registerServiceWorker(), { once: true });
