// Several products side by side: the columns of q, k and v, or of gate and up. Each has a matrix [M, its columns] of its own, all of them end to end in one
// buffer. params.second and params.third are the columns at which the 2nd and the 3rd begin, multiples of 4 (third = extent() where there are two);
// params.second_at and params.third_at the elements of the buffer. A thread works on one segment at a time.
var<private> segment: u32;
var<private> segment_start: u32; // its columns
var<private> segment_end: u32;
var<private> segment_at: u32;    // its first element

fn columns_end() -> u32 { return segment_end; }
fn segment_count() -> u32 { return select(2u, 3u, params.third < extent()); }

// First column of a segment and the end of its columns.
fn bounds(s: u32) -> vec2<u32> {
  return vec2<u32>(select(select(0u, params.second, s > 0u), params.third, s > 1u), select(select(params.second, params.third, s > 0u), extent(), s > 1u));
}

fn enter_segment(s: u32) {
  segment = s;
  segment_start = bounds(s).x;
  segment_end = bounds(s).y;
  segment_at = select(select(0u, params.second_at, s > 0u), params.third_at, s > 1u);
}

fn enter_column(column: u32) { enter_segment(select(0u, 1u, column >= params.second) + select(0u, 1u, column >= params.third)); }

// The first column of tile i: tiles of `width` columns begin anew in each segment.
fn enter_tile(i: u32, width: u32) -> u32 {
  let second = (params.second + width - 1u) / width;
  let third = second + (params.third - params.second + width - 1u) / width;
  enter_segment(select(0u, 1u, i >= second) + select(0u, 1u, i >= third));
  return segment_start + (i - select(select(0u, second, segment > 0u), third, segment > 1u)) * width;
}

// Element of row m in the buffer of all segments, less the segment's first column.
fn row_at(m: u32, stride: u32) -> u32 { return segment_at + m * (segment_end - segment_start) - segment_start; }
fn row_stride(stride: u32) -> u32 { return segment_end - segment_start; }
fn slice_stride(columns: u32) -> u32 { return segment_count() * columns; }
// Row m of a matrix that has `columns` columns for each segment: where the segment's own begin.
fn slice_at(m: u32, columns: u32) -> u32 { return (m * segment_count() + segment) * columns; }
