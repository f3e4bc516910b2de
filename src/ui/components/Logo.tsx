/** The mark: a loss curve that comes to rest above its axis. */
export function Logo({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill="none" strokeLinecap="round" aria-hidden="true">
      <path d="M3.5 3.5c.6 8.2 5.4 13.2 16.5 13.8" stroke="var(--etude-accent)" strokeWidth="2.4" />
      <path d="M3 21h18" stroke="var(--etude-ghost)" strokeWidth="1.4" />
    </svg>
  );
}

/** Two curves: past runs. */
export function RunsMark() {
  return (
    <svg width="18" height="18" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" aria-hidden="true">
      <path d="M3.5 4c.8 7.5 5 11.7 16.8 12.2" />
      <path d="M3.5 8.5c1.6 7 6.5 10.4 16.8 10.9" />
    </svg>
  );
}
