/** Central differences in f64: what every twin's backward pass is held against. */

/** d f / d x[i] for every i, x being changed in place and put back. The error is about step^2 f''' / 6 + 1e-16 |f| / step. */
export function finiteDifference(f: () => number, x: Float64Array, step = 1e-5): Float64Array {
  return x.map((value, i) => {
    x[i] = value + step;
    const above = f();
    x[i] = value - step;
    const below = f();
    x[i] = value;
    return (above - below) / (2 * step);
  });
}

/** Sum of a[i] b[i]: with fixed random b, a scalar whose gradient for a is b. */
export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};
