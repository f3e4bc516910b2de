/** Puts exp/log and the row vector type in front of a kernel body: four elements at a time where every row allows it. */
import math from '../../../shaders/lib/math.wgsl?raw';
import vec1 from '../../../shaders/lib/vec1.wgsl?raw';
import vec4 from '../../../shaders/lib/vec4.wgsl?raw';

/** Elements of a Vec: mirrors WIDTH in shaders/lib/vec1.wgsl and vec4.wgsl. */
export type VecWidth = 1 | 4;

/** The widest Vec for rows (or the stretches of them a kernel walks) of this length. */
export const vecWidth = (cols: number): VecWidth => (cols % 4 === 0 ? 4 : 1);

/** A kernel body written in terms of Vec. */
export const withVec = (width: VecWidth, body: string): string => [math, width === 4 ? vec4 : vec1, body].join('\n');
