// Words of the list of subscriptions.
export const words = {
  title: "Subscriptions",
  lead: "Who is pushed what.",
  create: "New subscription",
  find: "Name, host or type",
  columns: { name: "Name", host: "Host", types: "Types", state: "State", rate: "Success, 1 h", p95: "p95, 1 h", backlog: "Waiting", oldest: "Oldest" },
  states: { active: "Active", admin: "Paused", gone: "Paused: receiver gone", failing: "Paused: kept failing", breaker: "Held by breaker", hold: "Asked to wait" },
  never: "No subscription yet",
  neverText: "A subscription says which events go to which URL.",
  quiet: "no push",
};
