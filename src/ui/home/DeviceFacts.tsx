/** What the device offers, in one line. */
import { useDevice } from '../../stores/device.ts';
import { openDialog } from '../../stores/session.ts';
import { formatBytes, formatFlops, UNKNOWN } from '../format.ts';
import { adapterName } from '../shell/DeviceChip.tsx';
import classes from './Home.module.css';

export function DeviceFacts() {
  const { status, info, storage } = useDevice();
  const free = storage ? Math.max(0, storage.quota - storage.usage) : null;
  const adapter = info ? [adapterName(info), info.architecture].filter(Boolean).join(', ') : status === 'failed' ? 'None' : UNKNOWN;
  const facts: [name: string, value: string][] = [
    ['Graphics adapter', adapter],
    ['Largest buffer', info ? formatBytes(info.maxBufferSize) : UNKNOWN],
    ['Half precision', info ? (info.f16 ? 'f16 available' : 'not offered') : UNKNOWN],
    ['Measured speed', formatFlops(info?.gflops)],
    ['Browser storage', free === null ? UNKNOWN : `${formatBytes(free)} free`],
  ];
  return (
    <section className={classes.device} aria-label="This device">
      <dl>
        {facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
      </dl>
      <button type="button" className="link" onClick={() => openDialog('openShared')}>Open a shared recipe</button>
    </section>
  );
}
