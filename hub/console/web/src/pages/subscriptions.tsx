import { useQuery } from "@tanstack/preact-query";
import { ask, Badge, client, type Column, count, Empty, en, Failure, host, href, Icon, Loading, may, ms, Page, percent, type Schema, span, Table, useParams } from "../frame";
import { words } from "./subscriptions.en";

type Sub = Schema["Subscription"];
type Health = Schema["Health"];

/** SubState shows whether a subscription delivers, and if not, why. */
export function SubState({ of: s }: { of: Pick<Sub, "state" | "pausedReason" | "hold" | "breaker"> }) {
  const w = words.states;
  if (s.state === "paused") return <Badge tone={s.pausedReason === "admin" || !s.pausedReason ? "still" : "bad"} icon="pause">{w[s.pausedReason ?? "admin"]}</Badge>;
  if (s.breaker && s.breaker.state !== "closed") return <Badge tone="bad" icon="bolt">{w.breaker}</Badge>;
  if (s.hold) return <Badge tone="warn" icon="hourglass">{w.hold}</Badge>;
  return <Badge tone="good" icon="check">{w.active}</Badge>;
}

/** allSubscriptions reads every subscription of the tenant. */
export async function allSubscriptions(signal: AbortSignal): Promise<Sub[]> {
  const all: Sub[] = [];
  let cursor: string | undefined;
  do {
    const page = await ask(client.GET("/v1/subscriptions", { params: { query: { limit: 500, cursor } }, signal }));
    all.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor && all.length < 5000);
  return all;
}

export default function Subscriptions() {
  const [q, setQ] = useParams();
  const subs = useQuery<Sub[]>({ queryKey: ["subscriptions"], queryFn: ({ signal }) => allSubscriptions(signal) });
  const health = useQuery<Health[]>({ queryKey: ["health"], refetchInterval: 10_000, queryFn: async ({ signal }) => (await ask(client.GET("/v1/health", { signal }))).data });
  const of = new Map((health.data ?? []).map((h) => [h.subscription, h]));
  const text = (q.q ?? "").toLowerCase();
  const rows = (subs.data ?? []).filter((s) => !text || [s.name, s.url, ...s.events].some((t) => t.toLowerCase().includes(text)));
  return (
    <Page title={words.title} lead={words.lead} actions={may("owner") && <a class="button primary" href={href("/subscriptions/new")}><Icon name="plus" />{words.create}</a>}>
      {subs.error ? <Failure error={subs.error} again={() => void subs.refetch()} /> : !subs.data ? <Loading />
        : subs.data.length === 0 ? (
          <Empty title={words.never}><p>{words.neverText}</p>{may("owner") && <a class="button primary" href={href("/subscriptions/new")}>{words.create}</a>}</Empty>
        ) : (
          <>
            <div class="filter-bar" data-filters><label>{words.find}<input type="search" value={q.q ?? ""} onInput={(e) => setQ({ q: e.currentTarget.value }, { replace: true })} /></label></div>
            {rows.length === 0 ? <Empty title={en.list.noMatch}><button type="button" onClick={() => setQ({ q: undefined })}>{en.list.clearAll}</button></Empty>
              : <Table label={words.title} columns={columns(of)} rows={rows} id={(s) => s.id} link={(s) => href("/subscriptions/" + s.id)} />}
          </>
        )}
    </Page>
  );
}

function columns(of: Map<string, Health>): Column<Sub>[] {
  const c = words.columns;
  const hour = (s: Sub) => of.get(s.id)?.windows["1h"];
  return [
    { key: "name", head: c.name, cell: (s) => s.name || host(s.url) },
    { key: "state", head: c.state, cell: (s) => <SubState of={s} /> },
    { key: "rate", head: c.rate, num: true, cell: (s) => { const w = hour(s); return w?.successRate == null ? <span class="muted">{words.quiet}</span> : percent(w.successRate); }, from: 600 },
    { key: "p95", head: c.p95, num: true, cell: (s) => { const l = hour(s)?.latencyMs; return l ? ms(l.p95) : ""; }, from: 900 },
    { key: "backlog", head: c.backlog, num: true, cell: (s) => count(of.get(s.id)?.backlog ?? 0), from: 600 },
    { key: "oldest", head: c.oldest, num: true, cell: (s) => { const o = of.get(s.id)?.oldestPending; return o ? span(o.ageSeconds * 1000) : ""; }, from: 1200 },
    { key: "host", head: c.host, cell: (s) => host(s.url), from: 900 },
    { key: "types", head: c.types, wide: true, from: 1200, cell: (s) => <>{s.events.slice(0, 3).map((t) => <code key={t} class="chip">{t}</code>)}{s.events.length > 3 && ` +${s.events.length - 3}`}</> },
  ];
}
