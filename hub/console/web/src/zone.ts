// Time zones: a page shows its times in the zone of the tenant, of the browser, or in UTC.
import { computed, signal } from "@preact/signals";
import { session } from "./session";

export type ZoneChoice = "tenant" | "browser" | "utc";
export const zoneChoices: ZoneChoice[] = ["tenant", "browser", "utc"];

function fromURL(): ZoneChoice | undefined {
  const tz = new URLSearchParams(location.search).get("tz");
  return zoneChoices.find((z) => z === tz);
}

/** zoneChoice is the zone that was chosen, here or by whoever made the link. */
export const zoneChoice = signal<ZoneChoice>(fromURL() ?? "tenant");

/** browserZone is the zone of this machine. */
export const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** zone is the name of the zone in which times are shown. */
export const zone = computed(() => {
  switch (zoneChoice.value) {
    case "utc":
      return "UTC";
    case "browser":
      return browserZone;
    case "tenant":
      return session.value?.timezone || browserZone;
  }
});

/** chooseZone changes the zone and says so in the URL, so that a link shows the same. */
export function chooseZone(choice: ZoneChoice) {
  zoneChoice.value = choice;
  const url = new URL(location.href);
  url.searchParams.set("tz", choice);
  history.replaceState(history.state, "", url);
}

type Parts = Record<"year" | "month" | "day" | "hour" | "minute" | "second" | "offset", string>;

const formats = new Map<string, Intl.DateTimeFormat>();

/** partsOf splits a time into what a clock in a zone shows. */
function partsOf(ms: number, timeZone: string): Parts {
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit",
      hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "longOffset",
    });
    formats.set(timeZone, format);
  }
  const found: Record<string, string> = {};
  for (const p of format.formatToParts(ms)) found[p.type] = p.value;
  const offset = (found.timeZoneName ?? "").replace("GMT", "").replace("\u2212", "-") || "+00:00";
  return { ...(found as Parts), offset };
}

/** day returns the date of a time in a zone, as 2026-11-30. */
export function day(ms: number, timeZone = zone.value): string {
  const p = partsOf(ms, timeZone);
  return `${p.year}-${p.month}-${p.day}`;
}

/** clock returns the time of day, as 15:41:13, with milliseconds if asked for. */
export function clock(ms: number, millis = false, timeZone = zone.value): string {
  const p = partsOf(ms, timeZone);
  const rest = millis ? "." + String(Math.floor(ms) % 1000).padStart(3, "0") : "";
  return `${p.hour}:${p.minute}:${p.second}${rest}`;
}

/** offset returns how far a zone is from UTC at a time, as +08:00. */
export function offset(ms: number, timeZone = zone.value): string {
  return partsOf(ms, timeZone).offset;
}

/** local returns a time as <input type="datetime-local"> wants it, in the zone. */
export function local(ms: number, timeZone = zone.value): string {
  const p = partsOf(ms, timeZone);
  return `${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}`;
}

/** fromLocal reads what <input type="datetime-local"> holds, a time of the zone. */
export function fromLocal(text: string, timeZone = zone.value): number {
  const wanted = Date.parse(text + "Z");
  if (Number.isNaN(wanted)) return NaN;
  // The offset at the time itself: guessed by that of the time as if it were UTC, then corrected.
  let at = wanted;
  for (let i = 0; i < 2; i++) at = wanted - offsetMinutes(at, timeZone) * 60_000;
  return at;
}

function offsetMinutes(ms: number, timeZone: string): number {
  const [, sign, h, m] = /([+-])(\d\d):(\d\d)/.exec(offset(ms, timeZone)) ?? ["", "+", "0", "0"];
  return (sign === "-" ? -1 : 1) * (Number(h) * 60 + Number(m));
}
