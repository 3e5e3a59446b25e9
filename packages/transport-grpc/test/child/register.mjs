// Lets a child process run the TypeScript sources of the workspace: `node --import <this> program.ts`.
import { register } from 'node:module'

register('./typescript.mjs', import.meta.url)
