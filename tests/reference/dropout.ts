/** Twin of dropout.wgsl: the same integers, so that masks agree bit for bit. */

/** pcg4d of Jarzynski & Olano (JCGT 2020), on u32. */
function pcg4d(x: number, y: number, z: number, w: number): [number, number, number, number] {
  const start = (n: number): number => (Math.imul(n, 1_664_525) + 1_013_904_223) >>> 0;
  let [a, b, c, d] = [start(x), start(y), start(z), start(w)];
  const mix = (): void => {
    a = (a + Math.imul(b, d)) >>> 0;
    b = (b + Math.imul(c, a)) >>> 0;
    c = (c + Math.imul(a, b)) >>> 0;
    d = (d + Math.imul(b, c)) >>> 0;
  };
  mix();
  const fold = (n: number): number => (n ^ (n >>> 16)) >>> 0;
  [a, b, c, d] = [fold(a), fold(b), fold(c), fold(d)];
  mix();
  return [a, b, c, d];
}

/** 1 where element i of n is kept, 0 where it is dropped. */
export function keepMask(n: number, p: number, stream: number, seed: number): Uint8Array {
  const threshold = Math.min(0xffff_ffff, Math.round(p * 2 ** 32));
  const keep = new Uint8Array(n);
  for (let i = 0; i < n; i += 4) {
    pcg4d(i / 4, stream, seed, 0).forEach((word, lane) => {
      if (i + lane < n) keep[i + lane] = word >= threshold ? 1 : 0;
    });
  }
  return keep;
}

/** x * keep / (1 - p). Linear in x, so the gradient is the same function of the gradient above. */
export function dropout(x: ArrayLike<number>, p: number, stream: number, seed: number): Float64Array {
  const keep = keepMask(x.length, p, stream, seed);
  return Float64Array.from(x, (v, i) => (v * keep[i]!) / (1 - p));
}
