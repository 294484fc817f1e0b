// Words of the overview.
export const words = {
  title: "Overview",
  lead: "How things are now, and what happened last.",
  sentence: {
    none: "There is no subscription yet, so nothing is pushed.",
    all: (n: number) => (n === 1 ? "The only subscription delivers." : `All ${n} subscriptions deliver.`),
    paused: (name: string) => `${name} is paused.`,
    breaker: (name: string) => `${name} is held by its breaker, because pushes kept failing.`,
    hold: (name: string) => `${name} asked to wait.`,
    waiting: (n: string, age: string) => (n === "1" ? `One delivery waits, for ${age} so far.` : `${n} deliveries wait, the oldest for ${age}.`),
    further: (n: number) => `${n} more are held.`,
  },
  figures: { delivered: "Delivered, 24 h", exhausted: "Given up, 24 h", success: "Attempts that succeeded, 24 h", waiting: "Waiting", p95: "p95, 24 h" },
  chart: "Deliveries by hour, last 24 hours",
  hour: "Hour", states: { delivered: "Delivered", failed: "Given up", pending: "Pending" },
  table: "Figures as a table",
  failing: "Failing lately", noFailing: "No attempt failed in the last hour.",
  changes: "Last changes", allChanges: "Audit log",
  first: "Begin here", firstText: "Make a subscription, then send an event with a key of role ingest.", makeFirst: "New subscription",
};
