// Rows too long for one thread's registers are held by SLICES neighbouring threads: thread s of a row holds its Vecs
// s, s + SLICES, .. (so that neighbours read neighbouring words), PER of them, and zeros past the row's end.
// A product of two rows is the sum of its slices' products, always added up in the same order. slices_memory.wgsl and slices_shuffle.wgsl
// have sum_slices(local, mine): eight products at a time, each thread bringing its slices' share; all threads of the workgroup take part.
const PADDED: u32 = PER * SLICES; // Vecs of a row in workgroup memory

// Eight rows of a tile, at one place of each.
struct Eight { r0: Vec, r1: Vec, r2: Vec, r3: Vec, r4: Vec, r5: Vec, r6: Vec, r7: Vec }

fn products(x: Vec, e: Eight) -> array<vec4<f32>, 2> {
  return array<vec4<f32>, 2>(
    vec4<f32>(inner(x, e.r0), inner(x, e.r1), inner(x, e.r2), inner(x, e.r3)),
    vec4<f32>(inner(x, e.r4), inner(x, e.r5), inner(x, e.r6), inner(x, e.r7)));
}

fn add(a: array<vec4<f32>, 2>, b: array<vec4<f32>, 2>) -> array<vec4<f32>, 2> { return array<vec4<f32>, 2>(a[0] + b[0], a[1] + b[1]); }

fn weighted(a: vec4<f32>, b: vec4<f32>, e: Eight) -> Vec {
  return ((a.x * e.r0 + a.y * e.r1) + (a.z * e.r2 + a.w * e.r3)) + ((b.x * e.r4 + b.y * e.r5) + (b.z * e.r6 + b.w * e.r7));
}
