/** A development CA and the certificates of nodes and clients. */
export {
  type Authority,
  type AuthorityOptions,
  createAuthority,
  type Issued,
  type IssueOptions,
  issue,
  type Validity,
} from './authority.ts'
export { readTls, type Tls, type WriteOptions, writeFolder } from './folder.ts'
export { type Inspected, inspect, problem, type Role } from './inspect.ts'
