/** A load or import under way: name, how far, how fast, time left, Cancel. Nothing for the first 400 ms. */
import { Button, Progress } from '@mantine/core';
import { useEffect, useState } from 'react';
import type { Progress as Work } from '../../stores/types.ts';
import { formatBytesOf, formatClock, formatCount, formatDuration, formatBytes } from '../format.ts';
import classes from './ProgressRow.module.css';

interface ProgressRowProps { name: string; progress: Work | null; startedAt: number; onCancel?: () => void }

/** "164 of 269 MB · 21.3 MB/s · 5 s left". */
function progressWords(progress: Work | null, seconds: number): string {
  if (!progress) return formatClock(seconds);
  const { done, total, unit, label } = progress;
  const amount = unit === 'bytes' ? formatBytesOf(done, total) : `${formatCount(done)}${total === null ? '' : ` of ${formatCount(total)}`} ${unit}`;
  const speed = seconds > 1 ? done / seconds : 0;
  const pace = speed > 0 ? (unit === 'bytes' ? `${formatBytes(speed)}/s` : `${formatCount(speed)} ${unit}/s`) : '';
  const left = speed > 0 && total !== null && done < total ? `${formatDuration((total - done) / speed)} left` : '';
  return [label, amount, pace, left].filter(Boolean).join(' · ');
}

export function ProgressRow({ name, progress, startedAt, onCancel }: ProgressRowProps) {
  const [now, setNow] = useState(startedAt);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 400);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, now - startedAt) / 1000;
  if (seconds < 0.4) return <div className={classes.space} />;
  const share = progress && progress.total ? Math.min(100, (100 * progress.done) / progress.total) : 0;
  return (
    <div className={classes.row} data-testid="progress">
      <div className={classes.line}>
        <span className={classes.name}>{name}</span>
        <span className="caption">{progressWords(progress, seconds)}</span>
        {onCancel && <Button size="xs" onClick={onCancel}>Cancel</Button>}
      </div>
      <Progress value={share} aria-label={name} />
    </div>
  );
}
