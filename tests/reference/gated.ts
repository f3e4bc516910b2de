/** f64 twin of gated.wgsl and gated_backward.wgsl: each activation and its derivative in their textbook forms. */

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const K = Math.sqrt(2 / Math.PI);
const inside = (x: number): number => Math.tanh(K * (x + 0.044715 * x ** 3));

const ACTIVATIONS = {
  silu: { value: (x: number) => x * sigmoid(x), slope: (x: number) => sigmoid(x) * (1 + x * (1 - sigmoid(x))) },
  gelu_tanh: {
    value: (x: number) => 0.5 * x * (1 + inside(x)),
    slope: (x: number) => 0.5 * (1 + inside(x)) + 0.5 * x * (1 - inside(x) ** 2) * K * (1 + 3 * 0.044715 * x ** 2),
  },
};
export type Activation = keyof typeof ACTIVATIONS;

export const gated = (activation: Activation, gate: Float64Array, up: Float64Array): Float64Array => gate.map((g, i) => ACTIVATIONS[activation].value(g) * up[i]!);

export function gatedBackward(activation: Activation, gate: Float64Array, up: Float64Array, dOut: Float64Array): { dGate: Float64Array; dUp: Float64Array } {
  const { value, slope } = ACTIVATIONS[activation];
  return { dGate: gate.map((g, i) => dOut[i]! * up[i]! * slope(g)), dUp: gate.map((g, i) => dOut[i]! * value(g)) };
}
