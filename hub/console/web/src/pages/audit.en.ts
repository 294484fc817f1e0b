// Words of the audit log.
export const words = {
  title: "Audit log",
  lead: "Who changed or saw what, when, and from where. Rows are chained; hookline verify audit checks them.",
  columns: { at: "When", who: "Who", action: "What", object: "Object", ip: "From", change: "Change" },
  filters: { action: "What", object: "Object", who: "Key id" } as Record<string, string>,
  hints: { action: "subscription.update", object: "subscription/…", who: "" } as Record<string, string>,
  show: "Show",
  before: "Before", after: "After",
  made: "made", gone: "deleted", changed: (n: number) => (n === 1 ? "1 field" : `${n} fields`),
  empty: "No row yet",
  field: "Field",
};
