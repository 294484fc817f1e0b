// Icons, drawn on a grid of 16 by 16. They are never alone: a word stands beside each.
const paths = {
  overview: "M2 13V8m4 5V3m4 10V6m4 7V9",
  subscriptions: "M6 4H4a2 2 0 0 0-2 2v4a2 2 0 0 0 2 2h2m4-8h2a2 2 0 0 1 2 2v4a2 2 0 0 1-2 2h-2M5 8h6",
  deliveries: "M2 8h10M8 4l4 4-4 4M14 3v10",
  events: "M8 1.5 3 9h4l-1 5.5L11 7H7z",
  tail: "M1.5 8h3l2-5 3 10 2-5h3",
  health: "M8 13.5S2 10 2 6a3 3 0 0 1 6-1 3 3 0 0 1 6 1c0 4-6 7.5-6 7.5z",
  reconciliation: "M2 4h12M2 8h7M2 12h7m2-1 1.5 1.5L15 9.5",
  replays: "M3 8a5 5 0 1 1 1.5 3.5M3 12.5V9h3.5",
  wallboard: "M1.5 3h13v8h-13zM5 14h6M8 11v3",
  reports: "M3 1.5h7l3 3v10H3zM6 12V9m2.500 3V7m2.500 5v-2",
  calls: "M3 2h3l1.500 4-2 1a8 8 0 0 0 4 4l1-2 3.500 1.500v3A11 11 0 0 1 3 2z",
  directory: "M5.500 7a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM1 14c0-3 2-4.500 4.500-4.500S10 11 10 14m1-7.500a2 2 0 1 0 0-4M12 9.500c2 .3 3 1.700 3 4.500",
  keys: "M10 9a3.500 3.500 0 1 0-3.300-2.300L2 11.500V14h2.500v-1.500H6V11l1.300-1.300M11 5h.01",
  audit: "M8 1.500 2.500 4v4c0 3.500 2.500 5.500 5.500 6.500 3-1 5.500-3 5.500-6.500V4zM5.500 8l2 2 3-3.500",
  settings: "M2 5h7m3 0h2M2 11h2m3 0h7M10.500 3v4M5.500 9v4",
  tenants: "M2 14V5l5-3v12m0-8h7v8M1 14h14M4.500 7v.01M4.500 10v.01M10 9v.01M10 12v.01",
  hub: "M3 2h10v5H3zM3 9h10v5H3zM6 4.500h.01M6 11.500h.01",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM11 11l3.500 3.500",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
  out: "M6 2H3v12h3M7 8h7m-3-3 3 3-3 3",
  more: "M3 8h.01M8 8h.01M13 8h.01",
  check: "M3 8.500 6.500 12 13 4.500",
  cross: "M4 4l8 8M12 4l-8 8",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 5v3.500l2 1.500",
  hourglass: "M4 2h8M4 14h8M5 2c0 3.500 6 4 6 6s-6 2.500-6 6M11 2c0 3.500-6 4-6 6s6 2.500 6 6",
  stop: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM4 4l8 8",
  skip: "M3 4l4 4-4 4M8 4l4 4-4 4",
  pause: "M5.500 3v10M10.500 3v10",
  play: "M4.500 2.500 12.500 8l-8 5.500z",
  warn: "M8 2 1.500 13.500h13zM8 6.500V10M8 12h.01",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.500V11M8 5h.01",
  copy: "M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  left: "M10 4 6 8l4 4",
  plus: "M8 3v10M3 8h10",
  filter: "M2 3h12L9.500 8.500V13l-3-1.500v-3z",
  download: "M8 2v8M5 7l3 3 3-3M3 13h10",
  link: "M7 9a2.500 2.500 0 0 0 3.500 0l3-3A2.500 2.500 0 0 0 10 2.500l-1 1M9 7a2.500 2.500 0 0 0-3.500 0l-3 3A2.500 2.500 0 0 0 6 13.500l1-1",
  edit: "M3 13l.500-3L10.500 3l2.500 2.500-7 7zM9 4.500 11.500 7",
  lock: "M3.500 7h9v7h-9zM5.500 7V5a2.500 2.500 0 0 1 5 0v2",
  bolt: "M9 1.500 4 9h3.500L6.500 14.500 12 7H8.500z",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
