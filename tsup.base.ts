import { defineConfig, type Options } from 'tsup'

// Declarations come from `tsc -b`. dist is not cleaned: its .tsbuildinfo tells tsc that the declarations are there.
const base: Options = {
  format: 'esm',
  target: 'node20.19',
  dts: false,
  clean: false,
  sourcemap: true,
  removeNodeProtocol: false,
  silent: true,
}

export const library = defineConfig({ ...base, entry: ['src/index.ts'] })
export const program = defineConfig({ ...base, entry: ['src/*.ts'] })
