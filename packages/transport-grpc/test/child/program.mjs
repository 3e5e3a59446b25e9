// The sources of the adapter, for a process without a test runner around it.
import './register.mjs'

export const { create, reached } = await import('../subject.ts')
