import { describe, expect, test } from 'vitest'
import { formatAddress, isLoopback, parseAddress } from '../src/address.ts'

const schemes = { 'ws:': 80, 'wss:': 443 }

describe('addresses', () => {
  test.each([
    ['127.0.0.1:7001', { host: '127.0.0.1', port: 7001 }],
    ['[::1]:7001', { host: '::1', port: 7001 }],
    ['wss://example.org', { host: 'example.org', port: 443, url: 'wss://example.org' }],
    ['wss://Example.org:443/raft/', { host: 'example.org', port: 443, url: 'wss://example.org/raft' }],
    ['ws://example.org/a/b', { host: 'example.org', port: 80, url: 'ws://example.org/a/b' }],
    ['ws://[::1]:7001/raft', { host: '::1', port: 7001, url: 'ws://[::1]:7001/raft' }],
  ])('%s is read, and written as it was', (text, address) => {
    expect(parseAddress(text, 1, schemes)).toEqual(address)
    expect(parseAddress(formatAddress(address), 1, schemes)).toEqual(address)
  })

  test.each([
    'example.org',
    'example.org:0',
    'example.org:65536',
    '::1:7001',
    'https://example.org',
    'wss://',
    'wss://user:word@example.org',
    'wss://example.org/raft?a=b',
    'wss://example.org/raft#a',
    'wss://example.org:99999',
  ])('%s is none', (text) => {
    expect(() => parseAddress(text, 1, schemes)).toThrow(/is no address: write host:port, or .*wss:\/\/host\/path/)
  })

  test('a URL is one only for who dials such', () => {
    expect(() => parseAddress('wss://example.org/raft', 1)).toThrow('INVALID_OPTION')
  })

  test.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['::ffff:127.0.0.1', true],
    ['::1', true],
    ['localhost', true],
    ['127.0.0.1.example.org', false],
    ['0.0.0.0', false],
    ['::', false],
    ['::ffff:10.0.0.1', false],
    ['', false],
  ])('whether %s is loopback: %s', (host, answer) => {
    expect(isLoopback({ host })).toBe(answer)
  })
})
