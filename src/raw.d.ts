// Vite serves shader sources as strings.
declare module '*?raw' {
  const source: string;
  export default source;
}

/** Address of the hub the page talks to, set by the build (vite.config.ts). */
declare const ETUDE_HUB_ENDPOINT: string;
