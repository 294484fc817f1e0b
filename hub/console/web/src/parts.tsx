// The parts that pages are made of.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { isProblem, Problem } from "./api";
import type { Schema } from "./api";
import { en } from "./en";
import { span } from "./format";
import { Icon, type IconName } from "./icons";
import type { List } from "./list";
import { count } from "./format";
import { session } from "./session";
import { clock, day, offset, zone } from "./zone";

export { Icon };
export type { IconName };

/** Page is a page: its heading, what can be done on it, and its content. */
export function Page({ title, actions, lead, children, head }: {
  title: string; actions?: ComponentChildren; lead?: ComponentChildren; children: ComponentChildren; head?: ComponentChildren;
}) {
  useEffect(() => {
    document.title = title + " · " + en.product;
  }, [title]);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          {head}
          <h1 tabIndex={-1}>{title}</h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

const now = signal(Date.now());
setInterval(() => (now.value = Date.now()), 10_000);

/** relative returns how long ago a time was, or how far ahead it is. */
export function relative(ms: number, to = now.value): string {
  const d = to - ms;
  if (Math.abs(d) < 1000) return en.relative.now;
  return d > 0 ? en.relative.ago(span(d)) : en.relative.in(span(-d));
}

/** Time shows a time in the zone that was chosen. Hovering shows the rest. */
export function Time({ at, form = "seconds" }: { at: string | number | undefined; form?: "seconds" | "ms" | "clock" | "day" | "both" | "full" }) {
  if (at === undefined) return null;
  const t = typeof at === "number" ? at : Date.parse(at);
  const utc = new Date(t).toISOString();
  const d = day(t, zone.value);
  const texts = {
    clock: clock(t, false, zone.value),
    day: d,
    seconds: d + " " + clock(t, false, zone.value),
    ms: d + " " + clock(t, true, zone.value),
    full: d + " " + clock(t, true, zone.value) + " " + offset(t, zone.value),
    both: d + " " + clock(t, false, zone.value) + " " + offset(t, zone.value),
  };
  return (
    <>
      <time dateTime={utc} title={`${texts.full}\n${utc}\n${relative(t)}`}>{texts[form]}</time>
      {form === "both" && <span class="muted"> · {relative(t)}</span>}
    </>
  );
}

/** ZoneName shows in which zone the times of a column are. */
export function ZoneName() {
  return <span class="zone-name">{zone.value}</span>;
}

export type Tone = "good" | "bad" | "warn" | "info" | "still";

/** Badge shows a state by icon, word and colour together. */
export function Badge({ tone, icon, children }: { tone: Tone; icon: IconName; children: ComponentChildren }) {
  return <span class={"badge " + tone}><Icon name={icon} />{children}</span>;
}

const stateLooks: Record<Schema["DeliveryState"], [Tone, IconName]> = {
  pending: ["info", "clock"],
  delivered: ["good", "check"],
  exhausted: ["bad", "cross"],
  expired: ["warn", "hourglass"],
  cancelled: ["still", "stop"],
  superseded: ["still", "skip"],
};

/** State shows the state of a delivery. */
export function State({ of }: { of: Schema["DeliveryState"] }) {
  const [tone, icon] = stateLooks[of];
  return <Badge tone={tone} icon={icon}>{en.states[of]}</Badge>;
}

/** Status shows the HTTP status, or the error, of an attempt. */
export function Status({ status, error }: { status?: number; error?: string }) {
  if (!status && !error) return null;
  const bad = !!error || (status ?? 0) >= 300;
  return <span class={bad ? "status bad" : "status good"}>
    {status ? <b>{status}</b> : null}
    {error && !(error === "status" && status) ? <span> {en.errors[error] ?? error}</span> : null}
  </span>;
}

/** wordsOf returns the sentence that says why a request was refused. */
export function wordsOf(e: unknown): string {
  if (!(e instanceof Problem)) return String(e instanceof Error ? e.message : e);
  if (e.status === 0) return e.detail === "syntax" ? en.problem.syntax : en.problem.offline;
  if (e.status === 403 && e.type === "about:blank" && e.detail.includes("role")) return en.problem[403](session.value?.role ?? "");
  const known = (en.problem as unknown as Record<number, unknown>)[e.status];
  if (e.detail && e.status !== 404) return e.detail.charAt(0).toUpperCase() + e.detail.slice(1) + (/[.!?]$/.test(e.detail) ? "" : ".");
  return typeof known === "string" ? known : en.problem.other(e.status);
}

/** Failure shows why something could not be read, and a way on. After 429 it counts down and goes on by itself. */
export function Failure({ error, again }: { error: unknown; again?: () => void }) {
  const [left, setLeft] = useState(isProblem(error) ? error.retryAfter : 0);
  useEffect(() => {
    if (left <= 0) return;
    const id = setTimeout(() => (left === 1 ? (setLeft(0), again?.()) : setLeft(left - 1)), 1000);
    return () => clearTimeout(id);
  }, [left]);
  const fields = isProblem(error) ? error.errors : [];
  return (
    <div class="notice bad" role="alert">
      <Icon name="warn" />
      <div>
        <p>{wordsOf(error)}</p>
        {fields.length > 0 && <ul>{fields.map((f) => <li key={f.field}><code>{f.field}</code> {f.message}</li>)}</ul>}
        {left > 0 ? <p class="muted">{en.problem.wait(left)}</p> : again && <button type="button" onClick={again}>{en.problem.again}</button>}
      </div>
    </div>
  );
}

/** Notice tells something beside the content. */
export function Notice({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  const icon: IconName = tone === "good" ? "check" : tone === "info" || tone === "still" ? "info" : "warn";
  return <div class={"notice " + tone} role="status"><Icon name={icon} /><div>{children}</div></div>;
}

/** Loading shows that something is on its way, but not in the first moment. */
export function Loading({ rows = 6 }: { rows?: number }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const id = setTimeout(() => setLate(true), 150);
    return () => clearTimeout(id);
  }, []);
  return (
    <div class="skeleton" role="status">
      <span class="hidden">{en.loading}</span>
      {late && Array.from({ length: rows }, (_, i) => <div key={i} />)}
    </div>
  );
}

/** Empty shows that there is nothing, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return <div class="empty"><p class="empty-title">{title}</p>{children}</div>;
}

/** ListState shows what a list has to say instead of rows, or below them. */
export function ListState<T>({ list, empty, oldest, onOlder }: {
  list: List<T>; empty: ComponentChildren; oldest?: ComponentChildren; onOlder?: () => void;
}) {
  if (list.error && list.rows.length === 0) return <Failure error={list.error} again={list.again} />;
  if (list.loading) return <Loading />;
  if (list.rows.length === 0 && list.more) {
    return (
      <div class="empty" role="status">
        {oldest && <p>{en.list.searchedTo} {oldest}</p>}
        {list.fetching ? <p>{en.list.goingOn}</p> : <button type="button" onClick={list.next}>{en.list.goOn}</button>}
      </div>
    );
  }
  if (list.rows.length === 0) return <>{empty}</>;
  return (
    <div class="list-foot">
      {list.error ? <Failure error={list.error} again={list.next} /> : null}
      <span class="muted">{en.list.rows(count(list.rows.length))}</span>
      {list.full && list.more ? <span>{en.list.full(count(list.rows.length))} {onOlder && <button type="button" onClick={onOlder}>{en.list.older}</button>}</span>
        : list.fetching ? <span class="muted">{en.list.loadingMore}</span>
          : list.more ? <button type="button" onClick={list.next}>{en.list.more}</button>
            : <span class="muted">{en.list.end}</span>}
    </div>
  );
}

const toast = signal("");
let toastTimer = 0;

/** say shows a short message for a few seconds. */
export function say(text: string) {
  toast.value = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (toast.value = ""), 4000) as unknown as number;
}

export function Toast() {
  return <div class="toast" role="status" aria-live="polite" hidden={!toast.value}>{toast.value}</div>;
}

/** copyText puts a text on the clipboard and says so. */
export async function copyText(text: string) {
  await navigator.clipboard.writeText(text);
  say(en.copied);
}

/** Copy is a button that copies a text. what names it for readers of screens. */
export function Copy({ text, what, label }: { text: string | (() => Promise<string>); what: string; label?: string }) {
  const act = async () => copyText(typeof text === "string" ? text : await text());
  return (
    <button type="button" class={label ? "" : "quiet"} onClick={() => void act()} aria-label={label ? undefined : en.copyOf(what)} title={en.copyOf(what)}>
      <Icon name="copy" />{label}
    </button>
  );
}

/** Id shows an id that can be copied. */
export function Id({ id, what }: { id: string; what: string }) {
  return <span class="id"><code>{id}</code><Copy text={id} what={what} /></span>;
}

/** Dialog is a modal dialog. It closes by Esc, and the focus goes back to where it was. */
export function Dialog({ title, onClose, children, wide }: {
  title: string; onClose: () => void; children: ComponentChildren; wide?: boolean;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    ref.current?.showModal();
    return () => before?.focus();
  }, []);
  return (
    <dialog ref={ref} class={wide ? "wide" : undefined} aria-labelledby={heading} onCancel={(e) => { e.preventDefault(); onClose(); }}>
      <div class="dialog-head">
        <h2 id={heading}>{title}</h2>
        <button type="button" class="quiet" aria-label={en.close} onClick={onClose}><Icon name="cross" /></button>
      </div>
      {children}
    </dialog>
  );
}

/** Field is a labelled field of a form, with its hint and what is wrong with it. */
export function Field({ label, hint, error, children }: {
  label: ComponentChildren; hint?: ComponentChildren; error?: string;
  children: (props: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean }) => ComponentChildren;
}) {
  const id = useId();
  const described = [hint && id + "-hint", error && id + "-error"].filter(Boolean).join(" ");
  return (
    <div class={error ? "field wrong" : "field"}>
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": error ? true : undefined })}
      {hint && <p class="hint" id={id + "-hint"}>{hint}</p>}
      {error && <p class="error" id={id + "-error"}><Icon name="warn" />{error}</p>}
    </div>
  );
}

/** Tabs switches between views of one thing; which one is in the URL or in a state of the caller. */
export function Tabs<T extends string>({ label, tabs, value, onChange }: {
  label: string; tabs: [T, ComponentChildren][]; value: T; onChange: (v: T) => void;
}) {
  const move = (e: KeyboardEvent) => {
    const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    e.preventDefault();
    const at = tabs.findIndex(([name]) => name === value);
    onChange(tabs[(at + step + tabs.length) % tabs.length]![0]);
    const bar = e.currentTarget as HTMLElement;
    requestAnimationFrame(() => bar.querySelector<HTMLElement>("[aria-selected=true]")?.focus());
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map(([name, text]) => (
        <button key={name} type="button" role="tab" aria-selected={name === value} tabIndex={name === value ? 0 : -1} onClick={() => onChange(name)}>
          {text}
        </button>
      ))}
    </div>
  );
}

/** Facts shows names and values below each other. */
export function Facts({ rows }: { rows: [ComponentChildren, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows.filter(([, v]) => v !== undefined && v !== null && v !== "" && v !== false).map(([k, v], i) => (
        <div key={i}><dt>{k}</dt><dd>{v}</dd></div>
      ))}
    </dl>
  );
}
