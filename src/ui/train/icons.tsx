/** Pause and stop, drawn as lines: the signs of a recorder. */
const line = { fill: 'none', stroke: 'currentColor', strokeWidth: 1.75, 'aria-hidden': true } as const;

export const PauseIcon = () => <svg width="16" height="16" viewBox="0 0 16 16" strokeLinecap="round" {...line}><path d="M5.5 3.5v9M10.5 3.5v9" /></svg>;
export const PlayIcon = () => <svg width="16" height="16" viewBox="0 0 16 16" strokeLinejoin="round" {...line}><path d="M5 3.5v9l7.5-4.5z" /></svg>;
export const StopIcon = () => <svg width="16" height="16" viewBox="0 0 16 16" {...line}><rect x="4" y="4" width="8" height="8" rx="1" /></svg>;
