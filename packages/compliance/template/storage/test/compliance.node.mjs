import { describe, test } from 'node:test'
import { storageCompliance } from '@raftkit/compliance'
import { subject } from '../compliance.js'

describe('template storage', () => storageCompliance({ describe, test }, subject))
