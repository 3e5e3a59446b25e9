export { targets } from './targets/index.ts'
