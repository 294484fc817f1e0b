import { useState } from "preact/hooks";
import { ask, client, Dialog, Empty, en, Icon, ListState, Page, type Schema, short, Time, useList, useParams, ZoneName } from "../frame";
import { words } from "./audit.en";

type Row = Schema["AuditRow"];
const names = ["action", "object", "who"] as const;

export default function Audit() {
  const [q, setQ] = useParams();
  const [open, setOpen] = useState<Row>();
  const filter = Object.fromEntries([...names, "from", "to"].filter((n) => q[n]).map((n) => [n, q[n]]));
  const list = useList<Row>(["audit", filter], (cursor, signal) => ask(client.GET("/v1/audit", { params: { query: { ...filter, limit: 100, cursor } as never }, signal })));
  const c = words.columns;
  return (
    <Page title={words.title} lead={words.lead}>
      <form class="filter-bar" data-filters onSubmit={(e) => {
        e.preventDefault();
        const f = new FormData(e.currentTarget);
        setQ(Object.fromEntries(names.map((n) => [n, (f.get(n) as string).trim()])));
      }}>
        {names.map((n) => <label key={n}>{words.filters[n]}<input name={n} type="search" defaultValue={q[n] ?? ""} key={q[n]} placeholder={words.hints[n]} /></label>)}
        <button type="submit"><Icon name="filter" />{en.apply}</button>
      </form>
      {list.rows.length > 0 && (
        <div class="table-box" tabIndex={0} role="region" aria-label={words.title}>
          <table class="rows">
            <thead><tr><th scope="col">{c.at} <ZoneName /></th><th scope="col">{c.who}</th><th scope="col">{c.action}</th><th scope="col" class="from-600">{c.object}</th><th scope="col" class="from-900">{c.ip}</th><th scope="col">{c.change}</th></tr></thead>
            <tbody>{list.rows.map((r) => (
              <tr key={r.id}>
                <td><Time at={r.at} /></td><td title={r.who}>{r.name || short(r.who)}</td><td><code>{r.action}</code></td>
                <td class="from-600"><code title={r.object}>{r.object}</code></td><td class="from-900">{r.ip}</td>
                <td>{r.before !== undefined || r.after !== undefined ? <button type="button" class="quiet" onClick={() => setOpen(r)} aria-label={`${summary(r)}: ${words.show} ${r.action} ${r.object}`}>{summary(r)}</button> : null}</td>
              </tr>
            ))}</tbody>
          </table>
        </div>
      )}
      <ListState list={list} empty={Object.keys(filter).length > 0
        ? <Empty title={en.list.noMatch}><button type="button" onClick={() => setQ(Object.fromEntries([...names, "from", "to"].map((n) => [n, undefined])))}>{en.list.clearAll}</button></Empty>
        : <Empty title={words.empty} />} onOlder={() => setQ({ to: list.rows.at(-1)?.at })} />
      {open && <Dialog title={open.action} wide onClose={() => setOpen(undefined)}><Change of={open} /></Dialog>}
    </Page>
  );
}

/** fields returns the fields of an object whose values differ from those of another. */
function fields(r: Row): [string, string, string][] {
  const of = (v: unknown) => (typeof v === "object" && v !== null ? v as Record<string, unknown> : {});
  const text = (v: unknown) => (v === undefined ? "" : typeof v === "string" ? v : JSON.stringify(v));
  const before = of(r.before), after = of(r.after);
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .map((k) => [k, text(before[k]), text(after[k])] as [string, string, string]).filter(([, b, a]) => b !== a);
}

function summary(r: Row): string {
  if (r.before === undefined) return words.made;
  if (r.after === undefined) return words.gone;
  return words.changed(fields(r).length);
}

function Change({ of: r }: { of: Row }) {
  return (
    <>
      <p><code>{r.object}</code> <Time at={r.at} form="full" /></p>
      <div class="scroll" tabIndex={0} role="region" aria-label={words.columns.change}>
        <table class="why">
          <thead><tr><th scope="col">{words.field}</th><th scope="col">{words.before}</th><th scope="col">{words.after}</th></tr></thead>
          <tbody>{fields(r).map(([k, b, a]) => <tr key={k}><th scope="row">{k}</th><td class="because"><code>{b}</code></td><td class="because"><code>{a}</code></td></tr>)}</tbody>
        </table>
      </div>
    </>
  );
}
