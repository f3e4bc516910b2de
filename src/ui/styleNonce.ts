/**
 * The nonce that lets a <style> element past the Content-Security-Policy. Vite writes it into the page's head.
 * Give it to MantineProvider as `getStyleNonce={() => styleNonce}`; the scroll lock of Mantine's modals reads the global.
 */
declare global {
  var __webpack_nonce__: string | undefined;
}

export const styleNonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';

globalThis.__webpack_nonce__ = styleNonce;
