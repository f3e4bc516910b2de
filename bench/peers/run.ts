/**
 * What runs in the page, or in Node: our harness and the packages beside it. src/cli/benchPeers.ts bundles it, and each package with its
 * adapter as a module of its own, so that one that does not load is a reason and no end.
 */
import { comparePeers, type Comparison, type CompareOptions, type Peer, type PeerKind, type PeerTrainer } from '../../src/worker/bench/peers.ts';

export interface PeersWish extends Omit<CompareOptions, 'gpu' | 'peers'> {
  peers: { name: string; version: string; url: string }[];
}

/** An adapter bound to its package. */
interface Loaded {
  kinds: readonly PeerKind[];
  create: (options: object) => Promise<PeerTrainer>;
}

export async function compare({ peers: wanted, ...options }: PeersWish, gpu: GPU, say?: (line: string) => void): Promise<Comparison> {
  const peers: Peer[] = [];
  for (const { name, version, url } of wanted) {
    const loaded = await (import(/* @vite-ignore */ url) as Promise<Loaded>).catch((error: unknown): Loaded => ({ kinds: ['lora'], create: () => Promise.reject(error as Error) }));
    peers.push({ name, version, kinds: loaded.kinds, create: loaded.create });
  }
  return comparePeers({ ...options, gpu, peers }, say);
}
