// A product by itself (segments.wgsl has several side by side).
fn bounds(s: u32) -> vec2<u32> { return vec2<u32>(0u, extent()); }
fn segment_count() -> u32 { return 1u; }
fn columns_end() -> u32 { return extent(); }
fn enter_segment(s: u32) {}
fn enter_column(column: u32) {}
fn enter_tile(i: u32, width: u32) -> u32 { return i * width; }
fn row_at(m: u32, stride: u32) -> u32 { return m * stride; }
fn row_stride(stride: u32) -> u32 { return stride; }
fn slice_stride(columns: u32) -> u32 { return columns; }
fn slice_at(m: u32, columns: u32) -> u32 { return m * columns; }
