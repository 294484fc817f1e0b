import "./deliveries.css";
import { useMemo } from "preact/hooks";
import { useQuery } from "@tanstack/preact-query";
import {
  ask, client, type Column, Copy, count, Empty, en, fromLocal, href, Icon, ListState, local, Page, type Params,
  type Schema, several, short, span, State, Status, Table, Time, toggled, useInterval, useList, useParams, zone, ZoneName,
} from "../frame";
import { words } from "./deliveries.en";

type Delivery = Schema["Delivery"];
type Facets = Record<"state" | "error" | "httpStatus" | "type" | "subscription", Schema["Facet"]> & { complete: boolean; counted: number };

const filterNames = ["state", "error", "httpStatus", "type", "subscription", "orderKey", "replay"] as const;
const spans: Record<string, number> = { "15m": 9e5, "1h": 36e5, "24h": 864e5, "7d": 6048e5, "30d": 2592e6 };

/** filterOf returns the filters of the API that the URL says. */
export function filterOf(q: Params) {
  const filter: Record<string, string> = {};
  for (const name of filterNames) if (q[name]) filter[name] = q[name];
  if (q.from) filter.from = q.from;
  if (q.to) filter.to = q.to;
  const length = spans[q.in ?? ""];
  // Whole minutes, so that the same page asks the same.
  if (length) filter.from = String(Math.floor((Date.now() - length) / 60_000) * 60_000);
  return filter;
}

export default function Deliveries() {
  const [q, setQ] = useParams();
  const filter = filterOf(q);
  const key = ["deliveries", filter];
  const list = useList<Delivery>(key, (cursor, signal) =>
    ask(client.GET("/v1/deliveries", { params: { query: { ...filter, limit: 100, cursor } as never }, signal })));
  const names = useNames();
  const filtered = Object.keys(filter).length > 0;
  const oldest = list.rows.at(-1)?.acceptedAt;

  return (
    <Page title={words.title} lead={words.lead} actions={<Actions filter={filter} />}>
      <div class="log">
        <FilterPane q={q} setQ={setQ} filter={filter} names={names} />
        <section class="log-rows" aria-label={words.label}>
          <Newer filter={filter} newest={list.rows[0]?.acceptedAt} again={list.again} />
          {list.rows.length > 0 && <Table label={words.label} columns={columns(names)} rows={list.rows} id={(d) => d.id} link={(d) => href("/deliveries/" + encodeURIComponent(d.id))} onEnd={list.next} />}
          <ListState list={list} oldest={oldest && <Time at={oldest} />} onOlder={() => setQ({ to: oldest, in: undefined })}
            empty={filtered ? <NoMatch q={q} setQ={setQ} /> : <Never />} />
        </section>
      </div>
    </Page>
  );
}

/** columns are those of the table. */
function columns(names: Map<string, string>): Column<Delivery>[] {
  const c = words.columns;
  return [
    { key: "accepted", head: <>{c.accepted} <ZoneName /></>, cell: (d) => <Time at={d.acceptedAt} /> },
    { key: "state", head: c.state, cell: (d) => <><State of={d.state} />{d.late && <span class="chip">{words.late}</span>}</> },
    { key: "last", head: c.last, cell: (d) => <Status status={d.lastStatus} error={d.lastError} /> },
    { key: "type", head: c.type, cell: (d) => <code>{d.type}</code>, from: 600 },
    { key: "subscription", head: c.subscription, cell: (d) => names.get(d.subscription) ?? short(d.subscription), from: 600 },
    { key: "orderKey", head: c.orderKey, cell: (d) => d.orderKey && <code>{d.orderKey}</code>, from: 900, wide: true },
    { key: "tries", head: c.tries, cell: (d) => d.tries, num: true, from: 600 },
    { key: "due", head: c.due, cell: (d) => d.dueAt && <Time at={d.dueAt} form="clock" />, from: 1500 },
    { key: "took", head: c.took, cell: (d) => d.doneAt && span(Date.parse(d.doneAt) - Date.parse(d.acceptedAt)), num: true, from: 1500 },
  ];
}

/** useNames returns the names of subscriptions by their id. */
export function useNames(): Map<string, string> {
  const q = useQuery({
    queryKey: ["subscriptions", "names"], staleTime: 60_000,
    queryFn: ({ signal }) => ask(client.GET("/v1/subscriptions", { params: { query: { limit: 500 } }, signal })),
  });
  return useMemo(() => new Map((q.data?.data ?? []).map((s) => [s.id, s.name || hostOf(s.url)])), [q.data]);
}

function hostOf(url: string | undefined): string {
  return url ? url.replace(/^https?:\/\//, "").replace(/[/?].*$/, "") : "";
}

/** Newer says how many rows have come since the list was read. They never move what is being read. */
function Newer({ filter, newest, again }: { filter: Record<string, string>; newest?: string; again: () => void }) {
  const after = newest ? String(Date.parse(newest) + 1) : undefined;
  const q = useQuery({
    queryKey: ["deliveries", "newer", filter, after], enabled: !!after && !filter.to && !filter.orderKey,
    queryFn: ({ signal }) => ask(client.GET("/v1/deliveries", { params: { query: { ...filter, from: after, limit: 100 } as never }, signal })),
  });
  useInterval(() => void (after && !filter.to && q.refetch()), 2000);
  const n = q.data?.data.length ?? 0;
  if (!after || n === 0) return null;
  return <button type="button" class="newer" onClick={() => { again(); scrollTo({ top: 0 }); }}><Icon name="bolt" />{en.list.newer(n >= 100 ? "100+" : String(n))}</button>;
}

function Actions({ filter }: { filter: Record<string, string> }) {
  const url = (format: string) => "/v1/exports/deliveries?" + new URLSearchParams({ ...filter, format }).toString();
  return (
    <>
      <Copy text={async () => location.href} what={words.copyLink} label={words.copyLink} />
      <a class="button" href={url("csv")} download target="_self"><Icon name="download" />{words.csv}</a>
      <a class="button" href={url("ndjson")} download target="_self"><Icon name="download" />{words.ndjson}</a>
    </>
  );
}

function FilterPane({ q, setQ, filter, names }: { q: Params; setQ: (c: Params) => void; filter: Record<string, string>; names: Map<string, string> }) {
  const facets = useQuery({
    queryKey: ["deliveries", "facets", filter], staleTime: 15_000, placeholderData: (before: unknown) => before as never,
    queryFn: ({ signal }) => ask(client.GET("/v1/facets/deliveries", { params: { query: filter as never }, signal })),
  });
  const chosen = filterNames.some((n) => q[n]) || q.from || q.to || q.in;
  const wide = matchMedia("(min-width: 900px)").matches;
  return (
    <aside class="facets" data-filters aria-label={words.filters}>
      <details open={wide}>
        <summary><Icon name="filter" />{words.filters}</summary>
        <div class="facets-body">
          {chosen && <button type="button" onClick={() => setQ(Object.fromEntries([...filterNames, "from", "to", "in"].map((n) => [n, undefined])))}>{en.list.clearAll}</button>}
          <Range q={q} setQ={setQ} />
          <form onSubmit={(e) => { e.preventDefault(); setQ({ orderKey: (new FormData(e.currentTarget).get("orderKey") as string).trim() }); }}>
            <label for="order-key">{words.orderKey}</label>
            <input id="order-key" name="orderKey" type="search" defaultValue={q.orderKey ?? ""} key={q.orderKey} placeholder={words.orderKeyHint} />
          </form>
          {(["state", "httpStatus", "error", "type", "subscription"] as const).map((name) => (
            <FacetGroup key={name} name={name} facets={facets.data as Facets | undefined} value={q[name]} names={names} onChange={(v) => setQ({ [name]: v || undefined })} />
          ))}
        </div>
      </details>
    </aside>
  );
}

function FacetGroup({ name, facets, value, names, onChange }: {
  name: "state" | "httpStatus" | "error" | "type" | "subscription"; facets?: Facets; value?: string; names: Map<string, string>; onChange: (v: string) => void;
}) {
  const chosen = several(value);
  const counts = new Map((facets?.[name] ?? []).map((f) => [f.value, f.count]));
  const values = [...new Set([...chosen, ...counts.keys()])].slice(0, 12);
  if (values.length === 0) return null;
  const word = (v: string) => name === "state" ? en.states[v as Delivery["state"]] ?? v
    : name === "error" ? en.errors[v] ?? v
      : name === "subscription" ? names.get(v) ?? `${short(v)} (${words.deleted})` : v;
  return (
    <fieldset>
      <legend>{words.groups[name]}</legend>
      {values.map((v) => (
        <label key={v} class="check">
          <input type="checkbox" checked={chosen.includes(v)} onChange={() => onChange(toggled(value, v))} />
          <span class="facet-name" title={v}>{word(v)}</span>
          <span class="muted">{counts.has(v) ? count(counts.get(v)!) + (facets?.complete ? "" : words.more) : "0"}</span>
        </label>
      ))}
      {facets && !facets.complete && name === "state" && <p class="hint">{words.counted(count(facets.counted))}</p>}
    </fieldset>
  );
}

function Range({ q, setQ }: { q: Params; setQ: (c: Params) => void }) {
  const at = (t: string | undefined) => (t ? local(/^\d+$/.test(t) ? Number(t) : Date.parse(t)) : "");
  const set = (name: "from" | "to") => (e: { currentTarget: HTMLInputElement }) => {
    const t = fromLocal(e.currentTarget.value);
    setQ({ [name]: Number.isNaN(t) ? undefined : new Date(t).toISOString(), in: undefined });
  };
  return (
    <fieldset>
      <legend>{words.range} <span class="muted">{zone.value}</span></legend>
      <select aria-label={words.range} value={q.in ?? ""} onChange={(e) => setQ({ in: e.currentTarget.value || undefined, from: undefined, to: undefined })}>
        {words.ranges.map(([v, text]) => <option key={v} value={v}>{text}</option>)}
      </select>
      <label>{words.from}<input type="datetime-local" value={at(q.from)} onChange={set("from")} /></label>
      <label>{words.to}<input type="datetime-local" value={at(q.to)} onChange={set("to")} /></label>
    </fieldset>
  );
}

/** NoMatch says which filter to clear. */
function NoMatch({ q, setQ }: { q: Params; setQ: (c: Params) => void }) {
  const given = [...filterNames, "from", "to", "in"].filter((n) => q[n]);
  return (
    <Empty title={en.list.noMatch}>
      <div class="chips">{given.map((n) => <button key={n} type="button" onClick={() => setQ({ [n]: undefined })}>{en.list.clear(n)}</button>)}</div>
    </Empty>
  );
}

function Never() {
  const curl = `curl ${location.origin}/v1/events -H "Authorization: Bearer $HOOKLINE_KEY" -H "Content-Type: application/json" \\\n  -d '{"type": "call.ringing", "data": {"callID": "c1", "partyID": "p1", "thisDN": "1001"}}'`;
  return (
    <Empty title={words.never}>
      <p>{words.neverText}</p>
      <pre tabIndex={0}>{curl}</pre>
      <Copy text={curl} what="curl" label={en.copy} />
    </Empty>
  );
}

