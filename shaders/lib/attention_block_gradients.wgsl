// A second tile of own rows for the gradients (attention_block.wgsl): dOut beside queries, values beside keys.
var<workgroup> own_b: array<array<array<vec4<f32>, PITCH>, 8>, SCORE_ROWS>;

// own_b . stream
fn scores_b(x: u32, y: u32) -> Scores {
  var s = Scores();
  for (var d = 0u; d < select(params.d4, D4, UNROLL); d++) {
    let b0 = stream[0][x][d];
    let b1 = stream[1][x][d];
    let b2 = stream[2][x][d];
    let b3 = stream[3][x][d];
    for (var i = 0u; i < SCORE_ROWS; i++) { add_scores(&s, i, own_b[i][y][d], b0, b1, b2, b3); }
  }
  return s;
}
