// Words of one delivery.
import type { Schema } from "../frame";

export const words = {
  title: "Delivery",
  back: "Deliveries",
  id: "id of the delivery",
  sentence: {
    pending: (tries: number, due: string) => (tries === 0 ? "It waits for its first try." : `It failed ${times(tries)} and waits for its next try${due}.`),
    delivered: (tries: number, took: string) => `Delivered ${tries === 1 ? "at the first try" : `after ${times(tries)}`}, ${took} after it was accepted.`,
    exhausted: (tries: number, took: string) => `Given up after ${times(tries)} in ${took}.`,
    expired: "It was not sent in time, and expired.",
    cancelled: "It was cancelled.",
    superseded: "A newer event took its place.",
    last: (what: string) => ` Last answer: ${what}.`,
  },
  fields: {
    event: "Event", type: "Type", subscription: "Subscription", orderKey: "Order key", accepted: "Accepted", done: "Done",
    due: "Next try", tries: "Tries", sequence: "Sequence", replay: "Replay", late: "Out of order",
  },
  version: (n: number) => `at version ${n}`,
  story: "story of this key",
  summary: "Summary",
  attempts: "Attempts",
  timeline: "Attempts on a time line",
  none: "No attempt yet.",
  run: (n: number, by?: string, reason?: string) => (n === 0 ? "Push" : `Run ${n}${by ? ` by ${by}` : ""}${reason ? `: ${reason}` : ""}`),
  attempt: (n: number) => `Attempt ${n}`,
  took: "took",
  phases: { dns: "Name", connect: "Connect", tls: "TLS", firstByte: "First byte", rest: "Rest" } as Record<string, string>,
  at: "Began", process: "Process", remote: "Address", durations: "Durations", error: "Error",
  request: "Request",
  response: "Response",
  noResponse: "There was no answer.",
  headers: "Headers",
  body: "Body",
  tabs: { exchange: "Request and response", diff: "Compare" },
  compareWith: "Compare with",
  same: "They are the same.",
  diffParts: { requestHeaders: "Request headers", requestBody: "Request body", responseHeaders: "Response headers", responseBody: "Response body" },
  retry: "Retry",
  retryTitle: "Send it again?",
  retryText: "A new run starts now, with the automatic retries of its subscription.",
  retryForce: "Send out of order",
  retryForceText: "It is sent at once, with the header X-Hookline-Late, although an earlier delivery of its order key has not ended.",
  goToFront: "Open the delivery in front",
  retried: "A new run has started",
  curl: "Copy as curl",
  curlUntil: (t: string) => `Copied, signed again. The signature is good until ${t}.`,
  url: "URL",
  json: "attempt as JSON",
  copyJSON: "Copy as JSON",
};

function times(n: number): string {
  return n === 1 ? "one try" : `${n} tries`;
}

export type ErrorClass = Schema["ErrorClass"];
