import "./overview.css";
import { useQuery } from "@tanstack/preact-query";
import { ask, client, clock, count, en, Failure, href, Icon, type IconName, Loading, may, ms, Page, percent, type Schema, short, span, Status, Time } from "../frame";
import { words } from "./overview.en";

type Health = Schema["Health"];

export default function Overview() {
  const health = useQuery<Health[]>({ queryKey: ["health"], refetchInterval: 10_000, queryFn: async ({ signal }) => (await ask(client.GET("/v1/health", { signal }))).data });
  const stats = useQuery<Schema["Stats"]>({ queryKey: ["stats", "day"], refetchInterval: 30_000, queryFn: ({ signal }) => ask(client.GET("/v1/stats", { signal }) as never) });
  if (health.error) return <Page title={words.title}><Failure error={health.error} again={() => void health.refetch()} /></Page>;
  if (!health.data) return <Page title={words.title}><Loading /></Page>;
  return (
    <Page title={words.title} lead={words.lead}>
      <Sentences of={health.data} />
      {stats.error ? <Failure error={stats.error} again={() => void stats.refetch()} /> : !stats.data ? <Loading rows={3} /> : <Figures stats={stats.data} health={health.data} />}
      <div class="two">
        <Failing of={health.data} />
        <Changes />
      </div>
    </Page>
  );
}

/** Sentences say how things are before any figure does. */
function Sentences({ of: all }: { of: Health[] }) {
  const s = words.sentence;
  const name = (h: Health) => h.name || short(h.subscription);
  const bad = all.filter((h) => h.state === "paused" || (h.breaker && h.breaker.state !== "closed") || h.hold);
  const waiting = all.reduce((n, h) => n + h.backlog, 0);
  const oldest = Math.max(0, ...all.map((h) => h.oldestPending?.ageSeconds ?? 0));
  const line = (tone: string, icon: IconName, text: string, url: string) => <li key={text} class={tone}><Icon name={icon} /><span><a href={url}>{text}</a></span></li>;
  return (
    <>
      <ul class="sentences">
        {all.length === 0 ? line("warn", "info", s.none, href("/subscriptions"))
          : bad.length === 0 ? line("good", "check", s.all(all.length), href("/subscriptions"))
            : bad.slice(0, 3).map((h) => h.state === "paused" ? line("warn", "pause", s.paused(name(h)), href("/subscriptions/" + h.subscription))
              : h.breaker && h.breaker.state !== "closed" ? line("bad", "bolt", s.breaker(name(h)), href("/subscriptions/" + h.subscription))
                : line("warn", "hourglass", s.hold(name(h)), href("/subscriptions/" + h.subscription)))}
        {bad.length > 3 && line("warn", "warn", s.further(bad.length - 3), href("/subscriptions"))}
        {waiting > 0 && line("warn", "clock", s.waiting(count(waiting), span(oldest * 1000)), href("/deliveries", { state: "pending" }))}
      </ul>
      {all.length === 0 && may("owner") && <section class="empty"><p class="empty-title">{words.first}</p><p>{words.firstText}</p><a class="button primary" href={href("/subscriptions/new")}>{words.makeFirst}</a></section>}
    </>
  );
}

function Figures({ stats, health }: { stats: Schema["Stats"]; health: Health[] }) {
  const t = stats.total;
  const f = words.figures;
  const attempts = health.reduce((n, h) => n + h.windows["24h"].attempts, 0);
  const good = health.reduce((n, h) => n + h.windows["24h"].attempts * (h.windows["24h"].successRate ?? 0), 0);
  const p95 = Math.max(0, ...health.map((h) => h.windows["24h"].latencyMs?.p95 ?? 0));
  const figure = (value: string, name: string, url: string) => <a key={name} href={url}><b>{value}</b><span>{name}</span></a>;
  return (
    <>
      <div class="figures">
        {figure(count(t.delivered), f.delivered, href("/deliveries", { in: "24h", state: "delivered" }))}
        {figure(count(t.exhausted + t.expired), f.exhausted, href("/deliveries", { in: "24h", state: "exhausted,expired" }))}
        {figure(attempts > 0 ? percent(good / attempts) : "–", f.success, href("/subscriptions"))}
        {figure(p95 > 0 ? ms(p95) : "–", f.p95, href("/subscriptions"))}
        {figure(count(health.reduce((n, h) => n + h.backlog, 0)), f.waiting, href("/deliveries", { state: "pending" }))}
      </div>
      <Hours stats={stats} />
    </>
  );
}

/** Hours draws the last 24 hours as stacked bars. The table below says the same. */
function Hours({ stats }: { stats: Schema["Stats"] }) {
  const from = Date.parse(stats.from);
  const n = Math.max(1, Math.round((Date.parse(stats.to) - from) / 3600e3));
  const rows = new Map(stats.data.map((r) => [Math.round((Date.parse(r.from) - from) / 3600e3), r]));
  const failed = (r: Schema["StatsRow"]) => r.exhausted + r.expired;
  const top = Math.max(1, ...stats.data.map((r) => r.delivered + failed(r) + r.pending));
  const width = 1000 / n;
  return (
    <section class="card">
      <div class="card-head"><h2>{words.chart}</h2><span class="spring" /><span class="legend">{(["delivered", "failed", "pending"] as const).map((k) => <span key={k} class={k}><i />{words.states[k]}</span>)}</span></div>
      <div class="card-body">
        <svg class="hours" viewBox="0 0 1000 140" preserveAspectRatio="none" role="img" aria-label={words.chart}>
          <line x1="0" x2="1000" y1="139.5" y2="139.5" />
          {[...rows].map(([i, r]) => {
            let y = 139;
            return (["delivered", "failed", "pending"] as const).map((k) => {
              const height = (130 * (k === "failed" ? failed(r) : r[k])) / top;
              y -= height;
              return height > 0 ? <rect key={k + i} class={k} x={i * width + 2} width={width - 4} y={y} height={height} /> : null;
            });
          })}
        </svg>
        <details><summary>{words.table}</summary>
          <div class="scroll" tabIndex={0} role="region" aria-label={words.table}>
            <table><thead><tr><th scope="col">{words.hour}</th>{(["delivered", "failed", "pending"] as const).map((k) => <th key={k} scope="col" class="num">{words.states[k]}</th>)}</tr></thead>
              <tbody>{stats.data.map((r) => <tr key={r.from}><th scope="row">{clock(Date.parse(r.from))}</th><td class="num">{count(r.delivered)}</td><td class="num">{count(failed(r))}</td><td class="num">{count(r.pending)}</td></tr>)}</tbody></table>
          </div>
        </details>
      </div>
    </section>
  );
}

function Failing({ of: all }: { of: Health[] }) {
  const lately = all.filter((h) => h.lastError && Date.now() - Date.parse(h.lastError.at) < 3600e3).sort((a, b) => b.lastError!.at.localeCompare(a.lastError!.at)).slice(0, 5);
  return (
    <section class="card"><h2>{words.failing}</h2><div class="card-body">
      {lately.length === 0 ? <p class="muted">{words.noFailing}</p> : <ul class="plain">{lately.map((h) => (
        <li key={h.subscription}><a href={href("/subscriptions/" + h.subscription)}>{h.name || short(h.subscription)}</a><Status status={h.lastError!.status} error={h.lastError!.class} />
          <a href={href("/deliveries/" + encodeURIComponent(h.lastError!.delivery))}><Time at={h.lastError!.at} form="clock" /></a></li>
      ))}</ul>}
    </div></section>
  );
}

function Changes() {
  const q = useQuery<Schema["AuditRow"][]>({ queryKey: ["audit", "last"], queryFn: async ({ signal }) => (await ask(client.GET("/v1/audit", { params: { query: { limit: 10 } }, signal }))).data });
  return (
    <section class="card"><div class="card-head"><h2>{words.changes}</h2><span class="spring" /><a href={href("/audit")}>{words.allChanges}</a></div><div class="card-body">
      {q.error ? <Failure error={q.error} again={() => void q.refetch()} /> : !q.data ? <Loading rows={3} />
        : q.data.length === 0 ? <p class="muted">{en.none}</p>
          : <ul class="plain">{q.data.map((r) => <li key={r.id}><Time at={r.at} /><code>{r.action}</code><span class="muted">{r.name || short(r.who)}</span></li>)}</ul>}
    </div></section>
  );
}
