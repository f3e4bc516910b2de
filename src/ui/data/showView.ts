/** Brings the head of the view onto the screen once a row that was asked for is drawn: on a phone it lies far above. Nothing moves where it is in sight. */
export const showView = (): void => void requestAnimationFrame(() => document.querySelector('[data-view-tools]')?.scrollIntoView({ block: 'nearest' }));
