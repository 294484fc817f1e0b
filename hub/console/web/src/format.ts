// Numbers and spans for people.
const whole = new Intl.NumberFormat("en-US");

/** count returns a number with separators, as 41,220. */
export function count(n: number): string {
  return whole.format(n);
}

/** percent returns a share, as 99.4 %. */
export function percent(part: number, digits = 1): string {
  return (part * 100).toFixed(digits).replace(/\.0+$/, "") + "\u00a0%";
}

/** ms returns a duration in milliseconds, as 212 ms or 1.3 s. */
export function ms(n: number): string {
  if (n < 1) return n === 0 ? "0\u00a0ms" : "<1\u00a0ms";
  if (n < 10_000) return whole.format(Math.round(n)) + "\u00a0ms";
  return (n / 1000).toFixed(1) + "\u00a0s";
}

/** span returns a length of time in its two largest units, as 3 d 4 h. */
export function span(milliseconds: number): string {
  const s = Math.max(0, Math.round(milliseconds / 1000));
  const units: [number, string][] = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = units.findIndex(([size]) => s >= size);
  if (at < 0) return "0\u00a0s";
  const parts: string[] = [];
  let rest = s;
  for (const [size, unit] of units.slice(at, at + 2)) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0) parts.push(`${n}\u00a0${unit}`);
  }
  return parts.join(" ");
}

/** bytes returns a size, as 4.2 KiB. */
export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  return (i === 0 ? String(n) : n.toFixed(1)) + "\u00a0" + units[i];
}

/** host returns the host of a URL, or the text itself. */
export function host(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

/** short returns the beginning of an id for narrow columns. */
export function short(id: string): string {
  return id.length > 14 ? id.slice(0, 8) + "…" + id.slice(-4) : id;
}
