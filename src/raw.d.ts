// Vite serves shader sources as strings.
declare module '*?raw' {
  const source: string;
  export default source;
}
