/** The shape of what answers the protocol: one function a request. Each topic has a file of its own. */
import type { RequestName, Requests } from '../protocol.ts';
import type { RequestContext } from './environment.ts';

export type Handlers = { [N in RequestName]: (args: Requests[N]['args'], context: RequestContext) => Promise<Requests[N]['result']> };

/** Every request of some topics, e.g. HandlersOf<'data'> for all 'data.*'. */
export type HandlersOf<Topic extends string> = Pick<Handlers, Extract<RequestName, `${Topic}.${string}`>>;
