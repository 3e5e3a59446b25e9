import type { Role } from './access.ts'

/** What each route needs. A route that is not here cannot be registered. `anyone`: for probes, which carry nothing. */
export const permissions: Readonly<Record<string, Role | 'anyone'>> = {
  'GET /v1/kv/:key': 'read',
  'GET /v1/kv': 'read',
  'GET /v1/watch': 'read',
  'GET /v1/status': 'read',
  'GET /v1/members': 'read',
  'GET /v1/hash': 'read',
  'GET /metrics': 'read',
  'PUT /v1/kv/:key': 'write',
  'POST /v1/kv': 'write',
  'DELETE /v1/kv/:key': 'write',
  'POST /v1/kv/:key/append': 'write',
  'POST /v1/kv/:key/cas': 'write',
  'POST /v1/members': 'admin',
  'DELETE /v1/members/:id': 'admin',
  'POST /v1/members/:id/promote': 'admin',
  'POST /v1/members/:id/demote': 'admin',
  'POST /v1/transfer': 'admin',
  'POST /v1/snapshot': 'admin',
  'GET /livez': 'anyone',
  'GET /readyz': 'anyone',
}
