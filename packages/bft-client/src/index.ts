/** The client of certified Raft: signed requests, answers that enough members give alike, receipts that anyone can verify. */
export { type AnsweringMember, answering } from './answering.ts'
export type { CallOptions, Report, Wire } from './asking.ts'
export { type BftClient, type BftClientOptions, bftClient, type Executed } from './client.ts'
export { type ProvenReceipt, type ReceiptOptions, receiptVerifier } from './receipts.ts'
