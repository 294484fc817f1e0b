// The URL is the only state of a page that a reload or a friend must see: filters, the open row,
// the tab, the zone. Nothing secret is ever in it.
import { useLocation } from "preact-iso";

export const base = "/console";

export type Params = Record<string, string | undefined>;

/** href returns the URL of a page with parameters. Empty ones are left out. */
export function href(path: string, params: Params = {}): string {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value) q.set(name, value);
  const tz = new URLSearchParams(location.search).get("tz");
  if (tz && !q.has("tz")) q.set("tz", tz);
  const text = q.toString().replaceAll("%2F", "/").replaceAll("%2C", ",").replaceAll("%3A", ":");
  return base + path + (text ? "?" + text : "");
}

/** useParams returns the parameters of the URL, and a function that changes some of them. */
export function useParams(): [Params, (changes: Params, how?: { replace?: boolean }) => void] {
  const { path, query, route } = useLocation();
  return [
    query,
    (changes, how) => {
      const now = Object.fromEntries(new URLSearchParams(location.search));
      route(href(path.replace(base, ""), { ...now, ...changes }), how?.replace);
    },
  ];
}

/** several reads a parameter that holds several values. */
export function several(text: string | undefined): string[] {
  return text ? text.split(",").filter(Boolean) : [];
}

/** toggled returns a parameter of several values with one value more, or without it. */
export function toggled(text: string | undefined, value: string): string {
  const all = several(text);
  return (all.includes(value) ? all.filter((v) => v !== value) : [...all, value]).join(",");
}
