// The stream of attention_block.wgsl where it is keys and values; rows from `end` on repeat the last.
fn key_rows(tile: u32, end: u32, kv_base: u32, local: u32) -> Held {
  var held = Held();
  for (var i = 0u; i < LOADS; i++) { held[i] = k[min(tile + held_row(local, i), end - 1u) * KV_HEADS * D4 + kv_base + held_d(local, i)]; }
  return held;
}

fn value_rows(tile: u32, end: u32, kv_base: u32, local: u32) -> Held {
  var held = Held();
  for (var i = 0u; i < LOADS; i++) { held[i] = v[min(tile + held_row(local, i), end - 1u) * KV_HEADS * D4 + kv_base + held_d(local, i)]; }
  return held;
}
