// Words of the live tail.
export const words = {
  title: "Live tail",
  lead: "Attempts of all processes as they happen.",
  pause: "Pause", resume: "Go on",
  failures: "Only failures",
  states: { connecting: "Connecting", live: "Live", paused: "Paused", lost: "Connection lost, trying again", hidden: "Stopped while the tab was hidden" } as Record<string, string>,
  columns: { at: "Time", type: "Type", subscription: "Subscription", status: "Answer", ms: "Took", n: "Try", orderKey: "Order key" },
  waiting: "Nothing yet. An attempt appears here in the moment it ends.",
  newer: (n: number) => `${n} new`,
  letGo: (n: string) => `${n} older rows were let go`,
  rate: (n: string) => `${n} a second`,
  gap: (from: string, to: string) => `gap ${from} to ${to}`,
  fill: "Open them in the log",
};
