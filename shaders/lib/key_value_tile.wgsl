// A tile of keys and one of values in workgroup memory, TILE rows of PADDED Vecs each, read eight rows at a time (slices.wgsl).
var<workgroup> keys: array<Vec, TILE * PADDED>;
var<workgroup> values: array<Vec, TILE * PADDED>;

fn keys_at(at: u32) -> Eight {
  return Eight(
    keys[at], keys[at + PADDED], keys[at + 2u * PADDED], keys[at + 3u * PADDED],
    keys[at + 4u * PADDED], keys[at + 5u * PADDED], keys[at + 6u * PADDED], keys[at + 7u * PADDED]);
}

fn values_at(at: u32) -> Eight {
  return Eight(
    values[at], values[at + PADDED], values[at + 2u * PADDED], values[at + 3u * PADDED],
    values[at + 4u * PADDED], values[at + 5u * PADDED], values[at + 6u * PADDED], values[at + 7u * PADDED]);
}
