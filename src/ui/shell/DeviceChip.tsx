/** The adapter in the bar: name, architecture, limit, f16, and a clear warning on a software adapter. */
import { Tooltip } from '@mantine/core';
import { useDevice } from '../../stores/device.ts';
import type { DeviceInfo } from '../../stores/types.ts';
import { formatBytes } from '../format.ts';
import classes from './TopBar.module.css';

/** The name a person knows: the description where the browser gives one. */
export const adapterName = (info: DeviceInfo): string => {
  if (info.software) return 'Software adapter';
  const vendor = info.vendor ? `${info.vendor[0]!.toUpperCase()}${info.vendor.slice(1)} GPU` : 'Graphics adapter';
  return info.description && info.description.length <= 28 ? info.description : vendor;
};

function words(info: DeviceInfo): { head: string; rest: string[] } {
  if (info.software) return { head: 'Software adapter', rest: [info.architecture || info.vendor, info.f16 ? 'f16' : 'no f16'].filter(Boolean) };
  return { head: adapterName(info), rest: [info.architecture, `${formatBytes(info.maxBufferSize)} limit`, info.f16 ? 'f16' : 'no f16'].filter(Boolean) };
}

export function DeviceChip() {
  const { status, info } = useDevice();
  const state = status === 'failed' ? 'error' : info?.software ? 'software' : status;
  const { head, rest } = info ? words(info) : { head: status === 'failed' ? 'No graphics adapter' : 'Opening the adapter', rest: [] };
  const hint = info
    ? `${info.description || adapterName(info)}. Largest buffer ${formatBytes(info.maxBufferSize)}, largest binding ${formatBytes(info.maxBindingSize)}.`
    : 'The graphics adapter that trains the model.';
  return (
    <Tooltip label={hint} multiline maw={320} events={{ hover: true, focus: true, touch: true }}>
      <p className={classes.chip} data-state={state} data-testid="device-chip">
        <span className={classes.dot} aria-hidden="true" />
        <span className={classes.adapter}>{head}</span>
        {rest.map((text, i) => <span key={text} className={classes.fact} data-last={i === rest.length - 1 || undefined}>{text}</span>)}
      </p>
    </Tooltip>
  );
}
