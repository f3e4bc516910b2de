import { mount } from './ui/mount.tsx';
import { WorkerClient } from './worker/client.ts';

mount(document.getElementById('root')!, new WorkerClient());
