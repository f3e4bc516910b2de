/** Puts exp/log and the row vector type in front of a kernel body: four elements at a time where every row allows it. */
import math from '../../../shaders/lib/math.wgsl?raw';
import vec1 from '../../../shaders/lib/vec1.wgsl?raw';
import vec4 from '../../../shaders/lib/vec4.wgsl?raw';

/** Elements of a Vec for rows of this length: mirrors WIDTH in shaders/lib/vec1.wgsl and vec4.wgsl. */
export const vecWidth = (cols: number): 1 | 4 => (cols % 4 === 0 ? 4 : 1);

/** The body of a kernel whose rows (or the stretches of them it walks) have `cols` elements. */
export const withVec = (cols: number, body: string): string => [math, vecWidth(cols) === 4 ? vec4 : vec1, body].join('\n');
