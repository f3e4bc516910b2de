/** f64 twin of swiglu.wgsl and swiglu_backward.wgsl. */

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const swiglu = (gate: Float64Array, up: Float64Array): Float64Array => gate.map((g, i) => g * sigmoid(g) * up[i]!);

export function swigluBackward(gate: Float64Array, up: Float64Array, dOut: Float64Array): { dGate: Float64Array; dUp: Float64Array } {
  return {
    dGate: gate.map((g, i) => {
      const s = sigmoid(g);
      return dOut[i]! * up[i]! * s * (1 + g * (1 - s));
    }),
    dUp: gate.map((g, i) => dOut[i]! * g * sigmoid(g)),
  };
}
