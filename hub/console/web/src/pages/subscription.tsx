import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import {
  ask, change, client, Copy, count, Dialog, en, Facts, Failure, Field, host, href, Icon, Id, Loading, may, ms, Page, percent, say, type Schema, short, span,
  Tabs, Time, useLocation, useParams, useRoute,
} from "../frame";
import { SubState } from "./subscriptions";
import { words } from "./subscription.en";

type Sub = Schema["Subscription"];

export default function SubscriptionPage() {
  const id = useRoute().params.id!;
  const [q, setQ] = useParams();
  const s = useQuery<Sub>({ queryKey: ["subscription", id], queryFn: ({ signal }) => ask(client.GET("/v1/subscriptions/{id}", { params: { path: { id } }, signal })) });
  const head = <a class="crumb" href={href("/subscriptions")}><Icon name="left" />{words.back}</a>;
  if (s.error) return <Page title={words.title} head={head}><Failure error={s.error} again={() => void s.refetch()} /></Page>;
  if (!s.data) return <Page title={words.title} head={head}><Loading /></Page>;
  const tab = q.tab === "versions" ? "versions" : q.tab === "rotation" && may("owner") ? "rotation" : "settings";
  return (
    <Page title={s.data.name || host(s.data.url)} head={head} lead={<><SubState of={s.data} /> {s.data.description}</>} actions={<Actions of={s.data} />}>
      <HealthCard id={id} />
      <section class="card">
        <div class="card-head"><Tabs label={words.title} value={tab} onChange={(v) => setQ({ tab: v === "settings" ? undefined : v })}
          tabs={([["settings", words.tabs.settings], ["versions", words.tabs.versions], ["rotation", words.tabs.rotation]] as ["settings" | "versions" | "rotation", string][]).filter(([n]) => n !== "rotation" || may("owner"))} /></div>
        <div class="card-body">
          {tab === "settings" ? <Settings of={s.data} /> : tab === "versions" ? <Versions of={s.data} /> : <Rotation of={s.data} />}
        </div>
      </section>
    </Page>
  );
}

function Settings({ of: s }: { of: Sub }) {
  const text = (v: unknown) => (typeof v === "string" ? v : JSON.stringify(v));
  const { id, url, events, hold, breaker, createdAt, updatedAt, name: _, description: __, state: ___, ...rest } = s;
  return (
    <Facts rows={[
      [words.title, <Id id={id} what={words.id} />],
      ["url", <code>{url}</code>],
      ["events", <span class="chips">{events.map((e) => <code key={e} class="chip">{e}</code>)}</span>],
      ...Object.entries(rest).filter(([, v]) => v !== null && v !== undefined).map(([k, v]) => [k, <code>{text(v)}</code>] as [string, preact.ComponentChildren]),
      ["hold", hold && <code>{text(hold)}</code>],
      ["breaker", breaker && <code>{text(breaker)}</code>],
      ["createdAt", <Time at={createdAt} form="both" />],
      ["updatedAt", <Time at={updatedAt} form="both" />],
    ]} />
  );
}

function HealthCard({ id }: { id: string }) {
  const h = useQuery<Schema["Health"]>({ queryKey: ["health", id], refetchInterval: 5000, queryFn: ({ signal }) => ask(client.GET("/v1/subscriptions/{id}/health", { params: { path: { id } }, signal })) });
  const c = words.columns;
  return (
    <section class="card">
      <div class="card-head"><h2>{words.health}</h2><span class="spring" /><a href={href("/deliveries", { subscription: id })}>{words.log}</a></div>
      {h.error ? <Failure error={h.error} again={() => void h.refetch()} /> : !h.data ? <Loading rows={3} /> : (
        <>
          <div class="scroll" tabIndex={0} role="region" aria-label={words.health}>
            <table>
              <thead><tr><th scope="col">{c.window}</th><th scope="col" class="num">{c.attempts}</th><th scope="col" class="num">{c.rate}</th><th scope="col" class="num">{c.p50}</th><th scope="col" class="num">{c.p95}</th><th scope="col" class="num">{c.p99}</th></tr></thead>
              <tbody>{(["5m", "1h", "24h"] as const).map((w) => {
                const x = h.data.windows[w];
                return <tr key={w}><th scope="row">{words.windows[w]}</th><td class="num">{count(x.attempts)}</td><td class="num">{x.successRate == null ? "" : percent(x.successRate)}</td>
                  {(["p50", "p95", "p99"] as const).map((p) => <td key={p} class="num">{x.latencyMs ? ms(x.latencyMs[p]) : ""}</td>)}</tr>;
              })}</tbody>
            </table>
          </div>
          <div class="card-body"><Facts rows={[
            [words.backlog, <a href={href("/deliveries", { subscription: id, state: "pending" })}>{count(h.data.backlog)}</a>],
            [words.oldest, h.data.oldestPending && <><Time at={h.data.oldestPending.acceptedAt} /> ({span(h.data.oldestPending.ageSeconds * 1000)})</>],
            [words.lastError, h.data.lastError && <><Time at={h.data.lastError.at} /> <a href={href("/deliveries/" + encodeURIComponent(h.data.lastError.delivery))}>{h.data.lastError.status ?? en.errors[h.data.lastError.class]}</a> {h.data.lastError.detail}</>],
          ]} /></div>
        </>
      )}
    </section>
  );
}

function Actions({ of: s }: { of: Sub }) {
  const queries = useQueryClient();
  const { route } = useLocation();
  const [error, setError] = useState<unknown>(null);
  const [deleting, setDeleting] = useState(false);
  if (!may("owner")) return null;
  const path = { params: { path: { id: s.id } } };
  const act = async (what: () => Promise<unknown>, words: string) => {
    setError(null);
    try {
      await what();
      say(words);
      await queries.invalidateQueries();
    } catch (e) {
      setError(e);
    }
  };
  const test = async () => {
    setError(null);
    try {
      const made = await change(() => client.POST("/v1/subscriptions/{id}/test", { ...path, body: {} as never }));
      say(words.tested);
      route(href("/deliveries/" + encodeURIComponent(made.delivery)));
    } catch (e) {
      setError(e);
    }
  };
  return (
    <>
      {error ? <Failure error={error} /> : null}
      <button type="button" onClick={() => void test()}><Icon name="play" />{words.test}</button>
      {s.state === "active"
        ? <button type="button" onClick={() => void act(() => change(() => client.POST("/v1/subscriptions/{id}/pause", path)), words.paused)}><Icon name="pause" />{words.pause}</button>
        : <button type="button" onClick={() => void act(() => change(() => client.POST("/v1/subscriptions/{id}/resume", path)), words.resumed)}><Icon name="play" />{words.resume}</button>}
      <a class="button" href={href("/subscriptions/new", { from: s.id })}><Icon name="copy" />{words.duplicate}</a>
      <button type="button" class="danger" onClick={() => setDeleting(true)}><Icon name="cross" />{words.delete}</button>
      <a class="button primary" href={href(`/subscriptions/${s.id}/edit`)}><Icon name="edit" />{words.edit}</a>
      {deleting && <Delete of={s} onClose={() => setDeleting(false)} />}
    </>
  );
}

function Delete({ of: s, onClose }: { of: Sub; onClose: () => void }) {
  const { route } = useLocation();
  const queries = useQueryClient();
  const h = useQuery<Schema["Health"]>({ queryKey: ["health", s.id], queryFn: ({ signal }) => ask(client.GET("/v1/subscriptions/{id}/health", { params: { path: { id: s.id } }, signal })) });
  const [typed, setTyped] = useState("");
  const [error, setError] = useState<unknown>(null);
  const name = s.name || host(s.url);
  const remove = async () => {
    try {
      await change(() => client.DELETE("/v1/subscriptions/{id}", { params: { path: { id: s.id } } }));
      await queries.invalidateQueries({ queryKey: ["subscriptions"] });
      route(href("/subscriptions"));
    } catch (e) {
      setError(e);
    }
  };
  return (
    <Dialog title={words.deleteTitle} onClose={onClose}>
      <p>{words.deleteText(count(h.data?.backlog ?? 0))} <b>{name}</b></p>
      {error ? <Failure error={error} /> : null}
      <Field label={words.deleteName}>{(p) => <input {...p} value={typed} autocomplete="off" onInput={(e) => setTyped(e.currentTarget.value)} />}</Field>
      <div class="dialog-actions"><button type="button" onClick={onClose}>{en.cancel}</button><button type="button" class="danger" disabled={typed !== name} onClick={() => void remove()}>{words.delete}</button></div>
    </Dialog>
  );
}

type Version = Schema["Version"];

/** differing returns the fields in which two versions differ. */
function differing(before: Version, after: Version): [string, string, string][] {
  const text = (v: unknown) => (v === undefined ? "" : typeof v === "string" ? v : JSON.stringify(v));
  return Object.keys({ ...before, ...after }).filter((k) => !["version", "changedBy", "changedAt"].includes(k))
    .map((k) => [k, text(before[k as keyof Version]), text(after[k as keyof Version])] as [string, string, string]).filter(([, b, a]) => b !== a);
}

function Versions({ of: s }: { of: Sub }) {
  const queries = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const v = useQuery<Version[]>({ queryKey: ["subscription", s.id, "versions", s.version], queryFn: async ({ signal }) => (await ask(client.GET("/v1/subscriptions/{id}/versions", { params: { path: { id: s.id }, query: { limit: 100 } }, signal }))).data });
  const putBack = async (old: Version) => {
    const { version: _, changedBy: __, changedAt: ___, headers: ____, state: _____, pausedReason: ______, ...fields } = old;
    setError(null);
    try {
      await change(() => client.PATCH("/v1/subscriptions/{id}", { params: { path: { id: s.id }, header: { "If-Match": `"${s.version}"` } }, body: fields as never }));
      say(words.restored);
      await queries.invalidateQueries({ queryKey: ["subscription", s.id] });
    } catch (e) {
      setError(e);
    }
  };
  if (v.error) return <Failure error={v.error} again={() => void v.refetch()} />;
  if (!v.data) return <Loading rows={3} />;
  const all = v.data;
  return (
    <>
      {error ? <Failure error={error} /> : null}
      {all.map((x, i) => {
        const before = all[i + 1];
        const fields = before ? differing(before, x) : [];
        return (
          <details key={x.version} class="version" open={i === 0}>
            <summary><b>{words.versionBy(x.version)}</b> <Time at={x.changedAt} /> <code>{short(x.changedBy)}</code> {x.version === s.version && <span class="chip">{words.current}</span>}</summary>
            {!before ? <p class="muted">{words.first}</p> : fields.length === 0 ? <p class="muted">{words.sameAs}</p> : (
              <div class="scroll" tabIndex={0} role="region" aria-label={words.versionBy(x.version)}><table>
                <thead><tr><th scope="col">{words.field}</th><th scope="col">{words.before}</th><th scope="col">{words.after}</th></tr></thead>
                <tbody>{fields.map(([k, b, a]) => <tr key={k}><th scope="row">{k}</th><td class="because"><code>{b}</code></td><td class="because"><code>{a}</code></td></tr>)}</tbody>
              </table></div>
            )}
            {i > 0 && may("owner") && <button type="button" onClick={() => void putBack(x)}><Icon name="replays" />{words.putBack}</button>}
          </details>
        );
      })}
    </>
  );
}

function Rotation({ of: s }: { of: Sub }) {
  const queries = useQueryClient();
  const [overlap, setOverlap] = useState("24h");
  const [error, setError] = useState<unknown>(null);
  const [made, setMade] = useState<Sub>();
  const rotate = async (finish: boolean) => {
    setError(null);
    try {
      const out = await change(() => client.POST("/v1/subscriptions/{id}/rotate-key", { params: { path: { id: s.id } }, body: (finish ? { finish: true } : { overlap }) as never }));
      if (finish) say(words.finished);
      else setMade(out);
      await queries.invalidateQueries({ queryKey: ["subscription", s.id] });
    } catch (e) {
      setError(e);
    }
  };
  return (
    <div class="rotation">
      <p>{words.rotateText}</p>
      {error ? <Failure error={error} /> : null}
      <Field label={words.overlap} hint={words.overlapHint}>{(p) => <input {...p} value={overlap} onInput={(e) => setOverlap(e.currentTarget.value)} />}</Field>
      <div class="actions"><button type="button" class="primary" onClick={() => void rotate(false)}><Icon name="keys" />{words.rotate}</button><button type="button" onClick={() => void rotate(true)}>{words.finish}</button></div>
      {made && <Secrets of={made} done={() => setMade(undefined)} />}
    </div>
  );
}

/** Secrets shows keys that are shown once. Leaving the page asks first. */
export function Secrets({ of: s, done }: { of: { appKey?: string; signingSecret?: string; encryptionKey?: string }; done: () => void }) {
  const [stored, setStored] = useState(false);
  useEffect(() => {
    const ask = (e: BeforeUnloadEvent) => e.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, []);
  return (
    <Dialog title={words.secrets} onClose={() => stored && done()}>
      <p>{words.secretsText}</p>
      <Facts rows={(["appKey", "signingSecret", "encryptionKey"] as const).map((k) => [k, s[k] && <span class="id"><code>{s[k]}</code><Copy text={s[k]} what={k} /></span>])} />
      <label class="check"><input type="checkbox" checked={stored} onChange={(e) => setStored(e.currentTarget.checked)} />{words.stored}</label>
      <div class="dialog-actions"><button type="button" class="primary" disabled={!stored} onClick={done}>{en.close}</button></div>
    </Dialog>
  );
}
