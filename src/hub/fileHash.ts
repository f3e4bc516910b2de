/** Owns the checksum of a file as the hub lists it, fed piece by piece: SHA-256 for large files, the git blob's SHA-1 for small ones. */
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

export interface FileHash {
  update(bytes: Uint8Array): void;
  matches(): boolean;
}

/** `file` as the tree lists it. */
export function hashOf(file: { bytes: number; oid: string; sha256: string | null }): FileHash {
  const hash = file.sha256 === null ? sha1.create() : sha256.create();
  // git hashes a blob with its length in front.
  if (file.sha256 === null) hash.update(new TextEncoder().encode(`blob ${file.bytes}\0`));
  return {
    update: (bytes) => void hash.update(bytes),
    matches: () => bytesToHex(hash.digest()) === (file.sha256 ?? file.oid),
  };
}
