/** What another program needs in order to run members of kv as processes and to talk to them. */
export type { MemberView } from './client/cluster-commands.ts'
export { type Call, ConnectionLost, type Exchange, exchange, hangUp } from './client/exchange.ts'
export { certifyMembers, folderOf } from './local/development.ts'
export { freePorts, type MemberPlan, MemberProcess } from './local/member-process.ts'
export { kv } from './machine/machine.ts'
export { httpServer, type Serving } from './server/http.ts'
export type { Settings } from './server/settings.ts'
