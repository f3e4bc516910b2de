/**
 * The Content-Security-Policy of every page of the build, as a Vite plugin: a meta tag, because any static host must do.
 * Styles: Mantine writes <style> elements with its theme variables. They carry a nonce made anew for each build, so that
 * 'unsafe-inline' is not needed; a static page cannot have one for each visit. Scripts get no such way in.
 */
import type { Plugin } from 'vite';

const HUB = 'https://huggingface.co';

/** The hub the page talks to: ETUDE_HUB_ENDPOINT at build time, for a mirror that speaks the hub's protocol, or the hub itself. */
export const hubEndpoint = (): string => process.env.ETUDE_HUB_ENDPOINT?.replace(/\/+$/, '') || HUB;

/** Hosts a person's own wish can reach: model files of the Hugging Face hub and what it redirects to. */
export function hubHosts(endpoint = hubEndpoint()): string[] {
  const hosts = [HUB, 'https://*.huggingface.co', 'https://*.hf.co'];
  return endpoint === HUB ? hosts : [new URL(endpoint).origin, ...hosts];
}

/** `development` adds the one thing hot reloading needs: its own inline script, by nonce. */
export function contentSecurityPolicy(nonce: string, development = false): string {
  const directives: Record<string, string[]> = {
    'default-src': ["'none'"],
    'script-src': ["'self'", ...(development ? [`'nonce-${nonce}'`] : [])],
    'worker-src': ["'self'"],
    'style-src': ["'self'", `'nonce-${nonce}'`],
    'img-src': ["'self'", 'data:', 'blob:'],
    'font-src': ["'self'"],
    'connect-src': ["'self'", ...hubHosts()],
    'base-uri': ["'none'"],
    'form-action': ["'none'"],
  };
  return Object.entries(directives).map(([name, values]) => `${name} ${values.join(' ')}`).join('; ');
}

/** Puts the policy first in the head of every page, built or served in development. */
export function contentSecurityPolicyPlugin(nonce: string): Plugin {
  return {
    name: 'etude:content-security-policy',
    transformIndexHtml: {
      order: 'post',
      handler: (_html, context) => [{
        tag: 'meta',
        attrs: { 'http-equiv': 'Content-Security-Policy', content: contentSecurityPolicy(nonce, context.server !== undefined) },
        injectTo: 'head-prepend',
      }],
    },
  };
}
