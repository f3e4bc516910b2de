/** Temperature, top-p, top-k, length and seed, each with its bounds. */
import { NumberInput } from '@mantine/core';
import { setSampling, useChat } from '../../stores/chat.ts';
import type { SamplingConfig } from '../../stores/types.ts';
import classes from './Try.module.css';

interface Control { key: keyof SamplingConfig; label: string; min: number; max: number; step: number; decimals: number; width: number; hint: string }

const CONTROLS: Control[] = [
  { key: 'temperature', label: 'Temperature', min: 0, max: 2, step: 0.1, decimals: 2, width: 72, hint: '0 always takes the likeliest token' },
  { key: 'topP', label: 'Top-p', min: 0.01, max: 1, step: 0.05, decimals: 2, width: 72, hint: 'Draws from the likeliest tokens that together have this share' },
  { key: 'topK', label: 'Top-k', min: 0, max: 1000, step: 1, decimals: 0, width: 72, hint: 'Draws from this many likeliest tokens; 0 means all' },
  { key: 'maxNewTokens', label: 'Maximum tokens', min: 1, max: 4096, step: 16, decimals: 0, width: 72, hint: 'The answer stops here at the latest' },
  { key: 'seed', label: 'Seed', min: 0, max: 4_294_967_295, step: 1, decimals: 0, width: 100, hint: 'Same seed, same answer' },
];

export function SamplingControls() {
  const sampling = useChat((s) => s.sampling);
  return (
    <div className={classes.sampling}>
      {CONTROLS.map((c) => (
        <NumberInput
          key={c.key} label={c.label} title={c.hint} value={sampling[c.key]} min={c.min} max={c.max} step={c.step} decimalScale={c.decimals}
          fixedDecimalScale={c.decimals > 0} allowDecimal={c.decimals > 0} allowNegative={false} clampBehavior="blur" w="auto"
          classNames={{ root: classes.sample!, label: classes.sampleLabel! }} styles={{ input: { width: c.width } }} data-testid={`sampling-${c.key}`}
          onChange={(value) => { if (typeof value === 'number' && value >= c.min && value <= c.max) setSampling({ [c.key]: value }); }}
        />
      ))}
    </div>
  );
}
