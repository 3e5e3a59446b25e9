export { program as default } from '../../tsup.base.ts'
