/** The protocol's types for the interface, which does not import the worker room itself. */
export type * from '../worker/protocol.ts';
export type { Progress } from '../worker/client.ts';

import type { DatasetSummary, Requests } from '../worker/protocol.ts';

export type Mapping = DatasetSummary['mapping'];
export type Message = Requests['data.preview']['result'][number];
export type TemplateId = Requests['data.report']['args']['template'];
