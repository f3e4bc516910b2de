/** What concerns every screen: a software adapter, no WebGPU, a device that was lost. */
import { Button, Collapse } from '@mantine/core';
import { useState } from 'react';
import { dismissNotice, openDevice, useDevice } from '../../stores/device.ts';
import { applyUpdate, useUpdate } from '../../stores/updates.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { Note } from '../components/Note.tsx';
import classes from './Notices.module.css';

const isSafari = (): boolean => /^((?!chrome|android).)*safari/i.test(navigator.userAgent);
const isFirefox = (): boolean => /firefox/i.test(navigator.userAgent);

/** How to get a graphics card to work, for the browser in use. */
function howTo(): string[] {
  if (isFirefox()) return ['Open about:config and set dom.webgpu.enabled to true.', 'Restart Firefox and open this page again.'];
  if (isSafari()) return ['Use Safari 26 or newer; WebGPU is on by itself there.'];
  return [
    'Open chrome://settings/system and turn on "Use graphics acceleration when available".',
    'On Linux, start Chrome with --enable-unsafe-webgpu --enable-features=Vulkan.',
    'Restart the browser, then look at chrome://gpu: WebGPU should say "Hardware accelerated".',
  ];
}

const HowTo = ({ open }: { open: boolean }) => (
  <Collapse expanded={open} transitionDuration={0}>
    <ol className={classes.how}>{howTo().map((line) => <li key={line}>{line}</li>)}</ol>
  </Collapse>
);

function SoftwareNotice() {
  const [open, setOpen] = useState(false);
  return (
    <div className={classes.notice} data-testid="software-notice">
      <Note
        kind="notice" title="This page runs on a software adapter." onDismiss={dismissNotice}
        action={{ label: open ? 'Hide' : 'How to', onClick: () => setOpen(!open) }}
      >
        Everything works, far slower than on a GPU.
      </Note>
      <HowTo open={open} />
    </div>
  );
}

function NoDevice() {
  const error = useDevice((s) => s.error);
  const [open, setOpen] = useState(false);
  if (!error) return null;
  return (
    <div className={classes.notice} data-testid="no-device">
      <ErrorPanel error={error} action={{ label: 'Try again', onClick: () => void openDevice() }} />
      <Button variant="subtle" size="xs" mt={8} onClick={() => setOpen(!open)} aria-expanded={open}>{open ? 'Hide' : 'How to turn WebGPU on'}</Button>
      <HowTo open={open} />
    </div>
  );
}

/** A newer version waits until a person takes it, and until no run goes on. */
function UpdateNotice() {
  const ready = useUpdate((s) => s.ready);
  const [refused, setRefused] = useState(false);
  const [hidden, setHidden] = useState(false);
  if (!ready || hidden) return null;
  return (
    <div className={classes.notice} data-testid="update-ready">
      <Note
        kind="notice" title="A newer version of Etude is here." onDismiss={() => setHidden(true)}
        action={{ label: 'Reload with it', onClick: () => void applyUpdate().then((taken) => setRefused(!taken)) }}
      >
        {refused ? 'A run goes on, here or in another tab. It is not interrupted: try again when it has ended.' : 'It is put in place when you reload; a run that goes on is never interrupted.'}
      </Note>
    </div>
  );
}

function DeviceNotice() {
  const { status, info, noticeDismissed } = useDevice();
  if (status === 'failed') return <NoDevice />;
  if (info?.software && !noticeDismissed) return <SoftwareNotice />;
  return null;
}

export const Notices = () => <><UpdateNotice /><DeviceNotice /></>;

