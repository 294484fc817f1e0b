// Words of the list of events.
export const words = {
  title: "Events",
  lead: "What came in, newest first, whether anybody wanted it or not.",
  columns: { accepted: "Accepted", type: "Type", source: "Source", orderKey: "Order key", size: "Size", matched: "Matched", warnings: "Warnings" },
  unmatched: "Nobody wanted it",
  onlyUnmatched: "Only events that nobody wanted",
  onlyWarnings: "Only events with warnings",
  type: "Type",
  typeHint: "cdr.*, call.ringing",
  orderKey: "Order key",
  orderKeyHint: "call/abc",
  never: "No event yet",
  neverText: "Send one with a key of role ingest or owner:",
};
