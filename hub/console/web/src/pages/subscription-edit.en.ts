// Words of the form of a subscription.
export const words = {
  create: "New subscription", edit: "Edit subscription", back: "Subscriptions",
  where: "Where", what: "What", how: "How",
  fields: {
    name: "Name", description: "Description", url: "URL", headers: "Headers", timeoutMs: "Time-out, ms", events: "Types", masking: "Masking", encryption: "Encryption",
    ordering: "Order", maxInFlight: "Pushes at a time", ratePerSecond: "Pushes a second", expiresAfter: "Expires after", strictAck: "Read the code in answers", supersede: "Newer events replace waiting ones",
    cdr: "Retries of records", live: "Retries of live events", giveCdr: "Give up records after", giveLive: "Give up live events after",
    agentIDs: "Agents", departmentIds: "Departments", queueIds: "Queues", gatewayNumbers: "Gateway numbers", callTypes: "Call types",
  } as Record<string, string>,
  hints: {
    url: "https, or http where the hub allows it; checked now and at every push", headers: "One a line, as Name: value. Stored values are not shown; what you type is added or replaced.",
    events: "Separated by commas or spaces, with wildcards: cdr.*, call.ringing", filter: "Separated by commas. All that are given must match.", schedule: "Waits between tries, separated by commas",
    ratePerSecond: "Empty: no bound", expiresAfter: "Live events only; empty: never",
  },
  options: {
    masking: { none: "none", partial: "partial: some digits stay", drop: "drop: emptied" }, encryption: { none: "none", "aes-256-gcm": "AES-256-GCM", "aes-256-cbc": "AES-256-CBC", "aes-128-ecb": "AES-128-ECB" },
    ordering: { key: "within each order key", none: "none" },
  } as Record<string, Record<string, string>>,
  more: "Retries, rate and the rest",
  allTypes: "All types",
  preview: "Preview", sample: "Sample of", refresh: "Show",
  views: { plain: "Plain", masked: "Masked", sealed: "Sealed", headers: "Headers" },
  matching: (m: number, n: number) => `Of the last ${n} events, ${m} would have matched.`,
  same: "Nothing is changed.",
  needURL: "Give a URL to see what it would get.",
  probe: "Send a signed sample now", probing: "Sending", probeGood: (s: number) => `The receiver answered ${s}.`, probeBad: (why: string) => `It did not take it: ${why}.`,
  save: "Save", saved: "Saved",
  conflict: "Somebody else has changed this subscription meanwhile. Read it again: what you typed goes.", readAgain: "Read it again",
};
