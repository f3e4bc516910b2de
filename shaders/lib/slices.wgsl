// Rows too long for one thread's registers are held by SLICES neighbouring threads: thread s of a row holds its Vecs
// s, s + SLICES, .. (so that neighbours read neighbouring words), PER of them, and zeros past the row's end.
// A product of two rows is the sum of its slices' products, always added up in the same order. slices_memory.wgsl and slices_shuffle.wgsl
// have sum_slices(local, mine): eight products at a time, each thread bringing its slices' share; all threads of the workgroup take part.
const PADDED: u32 = PER * SLICES; // Vecs of a row in workgroup memory
