// A low-rank branch begun where x is made: parts[part][m][j] = sum_c held[c] a[j, first + c], what a stretch of row m of x gives of x A^T. The product that the branch
// belongs to adds the parts up (low_rank_row.wgsl). Eight threads an element, each every eighth Vec of the stretch; the eighths are added in order.
// The kernel has WORKGROUP threads, the stretch in `held`, and in its params a_rank (of A) and part_size (elements from one part to the next).
@group(0) @binding(PART) var<storage, read_write> parts: array<f32>;
@group(0) @binding(PART + 1u) var<storage, read> part_a: array<Vec>;
var<workgroup> part_sums: array<f32, WORKGROUP>;

// first, count (of the stretch) and width (of a row of A) in Vecs.
fn store_part(local: u32, part: u32, m: u32, first: u32, count: u32, width: u32) {
  for (var row = 0u; row < params.a_rank; row += WORKGROUP / 8u) {
    let j = row + local / 8u;
    var sum = 0.0;
    workgroupBarrier();
    if (j < params.a_rank) {
      for (var c = local % 8u; c < count; c += 8u) { sum += inner(held[c], part_a[j * width + first + c]); }
    }
    part_sums[local] = sum;
    workgroupBarrier();
    if (local % 8u == 0u && j < params.a_rank) {
      parts[part * params.part_size + m * params.a_rank + j] =
        ((part_sums[local] + part_sums[local + 1u]) + (part_sums[local + 2u] + part_sums[local + 3u]))
        + ((part_sums[local + 4u] + part_sums[local + 5u]) + (part_sums[local + 6u] + part_sums[local + 7u]));
    }
  }
}
