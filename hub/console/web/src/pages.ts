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
    path: "/", file: "overview", css: true, roles: ["owner", "auditor"],
    nav: { group: "deliver", label: "overview", icon: "overview", key: "o" },
  },
  {
    path: "/subscriptions", file: "subscriptions", roles: ["owner", "auditor"],
    nav: { group: "deliver", label: "subscriptions", icon: "subscriptions", key: "s" },
  },
  { path: "/subscriptions/new", file: "subscription-edit", css: true, roles: ["owner"] },
  { path: "/subscriptions/:id", file: "subscription", roles: ["owner", "auditor"] },
  { path: "/subscriptions/:id/edit", file: "subscription-edit", css: true, roles: ["owner"] },
  {
    path: "/deliveries", file: "deliveries", css: true, roles: ["owner", "auditor"],
    nav: { group: "deliver", label: "deliveries", icon: "deliveries", key: "d" },
  },
  { path: "/deliveries/:id", file: "delivery", css: true, roles: ["owner", "auditor"] },
  {
    path: "/events", file: "events", roles: ["owner", "auditor"],
    nav: { group: "deliver", label: "events", icon: "events", key: "e" },
  },
  { path: "/events/:id", file: "event", roles: ["owner", "auditor"] },
  {
    path: "/tail", file: "tail", roles: ["owner", "auditor"],
    nav: { group: "deliver", label: "tail", icon: "tail", key: "t" },
  },
  {
    path: "/keys", file: "keys", roles: ["platform", "owner"],
    nav: { group: "account", label: "keys", icon: "keys", key: "k" },
  },
  {
    path: "/audit", file: "audit", roles: ["platform", "owner", "auditor"],
    nav: { group: "account", label: "audit", icon: "audit", key: "a" },
  },
  {
    path: "/wallboard", file: "wallboard", css: true, roles: ["owner", "query"],
    nav: { group: "centre", label: "wallboard", icon: "wallboard", key: "w" },
  },
];
