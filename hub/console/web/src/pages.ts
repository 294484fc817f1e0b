// All pages of the console. A new page is a file in pages/, a line here, and its name in en.ts.
import type { IconName } from "./icons";
import type { Role } from "./session";

export interface PageInfo {
  /** path below /console. */
  path: string;
  /** file in pages/, without its ending. */
  file: string;
  /** css is true if the page has a style sheet of its own beside it. */
  css?: boolean;
  roles: Role[];
  /** nav is where the page stands in the rail; pages without it are reached by links. */
  nav?: { group: "deliver" | "centre" | "account" | "platform"; label: NavName; icon: IconName; key?: string };
}

export type NavName =
  | "overview" | "subscriptions" | "deliveries" | "events" | "tail" | "health" | "reconciliation" | "replays"
  | "wallboard" | "reports" | "calls" | "directory" | "keys" | "audit" | "settings" | "tenants" | "hub";

export const pages: PageInfo[] = [
  {
    path: "/deliveries", file: "deliveries", css: true, roles: ["owner", "auditor"],
    nav: { group: "deliver", label: "deliveries", icon: "deliveries", key: "d" },
  },
  { path: "/deliveries/:id", file: "delivery", css: true, roles: ["owner", "auditor"] },
];
