// Undoes the folding of linearGrid(): the index of an invocation over a grid of at most two dimensions.
fn linear_index(group: vec3<u32>, groups: vec3<u32>, local: u32, size: u32) -> u32 {
  return (group.y * groups.x + group.x) * size + local;
}
