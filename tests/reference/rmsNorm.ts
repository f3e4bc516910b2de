/** f64 twin of rms_norm.wgsl and rms_norm_backward.wgsl. Rows of x are gain.length long. */

const inverseRms = (x: Float64Array, start: number, cols: number, eps: number): number => {
  let squares = 0;
  for (let c = 0; c < cols; c++) squares += x[start + c]! ** 2;
  return 1 / Math.sqrt(squares / cols + eps);
};

export function rmsNorm(x: Float64Array, gain: Float64Array, eps: number): Float64Array {
  const cols = gain.length;
  const out = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += cols) {
    const scale = inverseRms(x, row, cols, eps);
    for (let c = 0; c < cols; c++) out[row + c] = x[row + c]! * scale * gain[c]!;
  }
  return out;
}

/** dx. */
export function rmsNormBackward(x: Float64Array, gain: Float64Array, dOut: Float64Array, eps: number): Float64Array {
  const cols = gain.length;
  const dx = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += cols) {
    const scale = inverseRms(x, row, cols, eps);
    let along = 0;
    for (let c = 0; c < cols; c++) along += x[row + c]! * gain[c]! * dOut[row + c]!;
    for (let c = 0; c < cols; c++) {
      dx[row + c] = scale * (gain[c]! * dOut[row + c]! - (x[row + c]! * scale * scale * along) / cols);
    }
  }
  return dx;
}
