globalThis.dispatchEvent(new Event('etude-headless'));
