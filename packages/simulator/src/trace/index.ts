/** Traces: what happened in a run, line by line; one format for simulations and live nodes. */
export { parseTrace, type Trace, type TraceHeader } from './parse.ts'
export { Tracer, type TracerOptions } from './tracer.ts'
