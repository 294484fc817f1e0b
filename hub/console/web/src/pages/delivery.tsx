import "./delivery.css";
import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import {
  ask, change, client, clock, Copy, copyText, decode, Dialog, en, Facts, Failure, href, Icon, Id, isProblem, Loading, may, ms, Notice, Page,
  type Problem, relative, say, type Schema, short, span, State, Status, Tabs, Time, useKey, useParams, useRoute, Viewer,
} from "../frame";
import { words } from "./delivery.en";

type Delivery = Schema["Delivery"];
type Attempt = Schema["Attempt"];

export default function DeliveryPage() {
  const id = useRoute().params.id!;
  const d = useQuery<Delivery>({
    queryKey: ["delivery", id], refetchInterval: (q) => (q.state.data?.state === "pending" ? 2000 : false),
    queryFn: ({ signal }) => ask(client.GET("/v1/deliveries/{id}", { params: { path: { id } }, signal })),
  });
  const attempts = useQuery<Attempt[]>({
    queryKey: ["delivery", id, "attempts", d.data?.tries], enabled: !!d.data, placeholderData: (before) => before,
    queryFn: ({ signal }) => allAttempts(id, signal),
  });
  const head = <a class="crumb" href={href("/deliveries")}><Icon name="left" />{words.back}</a>;
  if (d.error) return <Page title={words.title} head={head}><Failure error={d.error} again={() => void d.refetch()} /></Page>;
  if (!d.data) return <Page title={words.title} head={head}><Loading /></Page>;
  return (
    <Page title={`${d.data.type}`} head={head} lead={<><State of={d.data.state} /> {sentence(d.data)}</>}
      actions={<Retry of={d.data} />}>
      <div class="delivery">
        <section class="card"><h2>{words.summary}</h2><div class="card-body"><Summary of={d.data} /></div></section>
        <section class="card">
          <h2>{words.attempts}</h2>
          <div class="card-body">
            {attempts.error ? <Failure error={attempts.error} again={() => void attempts.refetch()} /> : !attempts.data ? <Loading rows={3} />
              : <Attempts of={d.data} all={attempts.data} />}
          </div>
        </section>
        {attempts.data && attempts.data.length > 0 && <Chosen of={d.data} all={attempts.data} />}
      </div>
    </Page>
  );
}

/** allAttempts reads every attempt, oldest first. */
async function allAttempts(id: string, signal: AbortSignal): Promise<Attempt[]> {
  const all: Attempt[] = [];
  let cursor: string | undefined;
  do {
    const page = await ask(client.GET("/v1/deliveries/{id}/attempts", { params: { path: { id }, query: { limit: 100, cursor } }, signal }));
    all.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor && all.length < 500);
  return all;
}

/** sentence says what became of a delivery. */
function sentence(d: Delivery): string {
  const took = span(Date.parse(d.doneAt ?? d.acceptedAt) - Date.parse(d.acceptedAt));
  const s = words.sentence;
  const last = d.lastStatus ? String(d.lastStatus) : d.lastError ? en.errors[d.lastError] ?? d.lastError : "";
  const end = last && d.state !== "delivered" ? s.last(last) : "";
  switch (d.state) {
    case "pending":
      return s.pending(d.tries, d.dueAt ? " " + relative(Date.parse(d.dueAt)) : "") + end;
    case "delivered":
      return s.delivered(d.tries, took);
    case "exhausted":
      return s.exhausted(d.tries, took) + end;
    default:
      return s[d.state] + end;
  }
}

function Summary({ of: d }: { of: Delivery }) {
  const f = words.fields;
  return (
    <Facts rows={[
      [words.title, <Id id={d.id} what={words.id} />],
      [f.event, <a href={href("/events/" + encodeURIComponent(d.eventHandle ?? d.event))}><code>{d.event}</code></a>],
      [f.subscription, <><a href={href("/subscriptions/" + d.subscription)}><code>{short(d.subscription)}</code></a> {words.version(d.version)}</>],
      [f.orderKey, d.orderKey && <><code>{d.orderKey}</code> <a href={href("/deliveries", { orderKey: d.orderKeyHandle ?? d.orderKey })}>{words.story}</a></>],
      [f.accepted, <Time at={d.acceptedAt} form="both" />],
      [f.done, d.doneAt && <Time at={d.doneAt} form="both" />],
      [f.due, d.dueAt && <Time at={d.dueAt} form="both" />],
      [f.tries, String(d.tries)],
      [f.sequence, String(d.sequence)],
      [f.late, d.late && en.yes],
      [f.replay, d.replay && <a href={href("/replays/" + d.replay)}><code>{d.replay}</code></a>],
    ]} />
  );
}

const nameOf = (a: Attempt) => `${a.run}.${a.n}`;

/** useChosen returns the attempt that the URL names, the last one by default. */
function useChosen(all: Attempt[]): [Attempt, (a: Attempt) => void] {
  const [q, setQ] = useParams();
  return [all.find((a) => nameOf(a) === q.attempt) ?? all.at(-1)!, (a) => setQ({ attempt: nameOf(a) }, { replace: true })];
}

/** Attempts shows them as bars on a true axis of time, and as a list in order. */
function Attempts({ of: d, all }: { of: Delivery; all: Attempt[] }) {
  if (all.length === 0) return <p class="muted">{words.none}</p>;
  return <AttemptList of={d} all={all} />;
}

function AttemptList({ of: d, all }: { of: Delivery; all: Attempt[] }) {
  const [chosen, choose] = useChosen(all);
  const step = (n: number) => choose(all[Math.min(Math.max(all.indexOf(chosen) + n, 0), all.length - 1)]!);
  useKey("[", () => step(-1));
  useKey("]", () => step(1));
  const runs = new Map((d.runs ?? []).map((r) => [r.run, r]));
  return (
    <>
      <TimeLine of={d} all={all} chosen={chosen} />
      <ol class="attempts">
        {all.map((a) => {
          const run = runs.get(a.run);
          return (
            <li key={nameOf(a)}>
              <button type="button" aria-pressed={a === chosen} onClick={() => choose(a)}>
                <span class="attempt-n">{words.run(a.run, run && short(run.by), run?.reason)} · {words.attempt(a.n)}</span>
                <Time at={a.at} form="ms" />
                <Status status={a.status} error={a.error} />
                <span class="num">{ms(a.durationsMs.total)}</span>
              </button>
            </li>
          );
        })}
      </ol>
    </>
  );
}

const phases = ["dns", "connect", "tls", "firstByte", "rest"] as const;

/** phasesOf splits the time that an attempt took. */
function phasesOf(a: Attempt): Record<(typeof phases)[number], number> {
  const t = a.durationsMs;
  return { dns: t.dns, connect: t.connect, tls: t.tls, firstByte: Math.max(0, t.firstByte), rest: Math.max(0, t.total - t.dns - t.connect - t.tls - t.firstByte) };
}

/** TimeLine draws the attempts of a delivery from its acceptance to its end. The list below says the same in words. */
function TimeLine({ of: d, all, chosen }: { of: Delivery; all: Attempt[]; chosen: Attempt }) {
  const from = Date.parse(d.acceptedAt);
  const last = all.at(-1)!;
  const to = Math.max(from + 1, Date.parse(last.at) + last.durationsMs.total, d.dueAt ? Date.parse(d.dueAt) : 0);
  const x = (t: number) => (1000 * (t - from)) / (to - from);
  return (
    <figure class="time-line">
      <svg viewBox="0 0 1000 34" preserveAspectRatio="none" role="img" aria-label={words.timeline}>
        <line x1="0" x2="1000" y1="17" y2="17" class="wait" />
        {all.map((a) => {
          let at = x(Date.parse(a.at));
          const total = Math.max(4, x(from + a.durationsMs.total));
          const good = !a.error;
          const parts = phasesOf(a);
          return (
            <g key={nameOf(a)} class={(good ? "good" : "bad") + (a === chosen ? " chosen" : "")}>
              <rect class="bar" x={at} width={total} y="7" height="20" />
              {a.durationsMs.total > 0 && phases.map((p) => {
                const width = (total * parts[p]) / a.durationsMs.total;
                const bar = <rect key={p} class={"phase " + p} x={at} width={width} y="7" height="20" />;
                at += width;
                return bar;
              })}
            </g>
          );
        })}
        {d.dueAt && <line class="due" x1={x(Date.parse(d.dueAt)) - 1} x2={x(Date.parse(d.dueAt)) - 1} y1="4" y2="30" />}
      </svg>
      <figcaption class="muted"><span>{clock(from, true)}</span><span>{span(to - from)}</span><span>{clock(to, true)}</span></figcaption>
    </figure>
  );
}

/** Chosen shows one attempt: what was sent and what came back, or how it differs from another. */
function Chosen({ of: d, all }: { of: Delivery; all: Attempt[] }) {
  const [q, setQ] = useParams();
  const [a] = useChosen(all);
  const tab = q.tab === "diff" && all.length > 1 ? "diff" : "exchange";
  return (
    <section class="card">
      <div class="card-head">
        <h2>{words.run(a.run)} · {words.attempt(a.n)}</h2>
        <Status status={a.status} error={a.error} />
        <span class="spring" />
        {may("owner") && <CopyCurl of={d} />}
        <Copy text={JSON.stringify(a, null, 2)} what={words.json} label={words.copyJSON} />
      </div>
      <div class="card-body attempt">
        <Facts rows={[
          [words.at, <Time at={a.at} form="full" />],
          [words.durations, phases.map((p) => `${words.phases[p]} ${ms(phasesOf(a)[p])}`).join(" · ")],
          [words.remote, a.remoteIp && <code>{a.remoteIp}</code>],
          [words.error, a.error && <>{en.errors[a.error] ?? a.error}{a.errorDetail && ": " + a.errorDetail}</>],
          [words.process, <code>{a.process}</code>],
        ]} />
        {all.length > 1 && <Tabs label={words.tabs.exchange} tabs={[["exchange", words.tabs.exchange], ["diff", words.tabs.diff]]} value={tab} onChange={(v) => setQ({ tab: v === "diff" ? v : undefined }, { replace: true })} />}
        {tab === "diff" ? <Compare one={a} all={all} /> : <Exchange of={a} />}
      </div>
    </section>
  );
}

function Exchange({ of: a }: { of: Attempt }) {
  const r = a.response;
  return (
    <div class="exchange">
      <section>
        <h3>{words.request}</h3>
        <p class="url"><code>{a.request.method} {a.request.url}</code><Copy text={a.request.url} what={words.url} /></p>
        <HeaderList of={a.request.headers} />
        <Viewer key={nameOf(a)} text={a.request.body} name={`${words.request} ${words.body}`} note={a.request.note} />
      </section>
      <section>
        <h3>{words.response}</h3>
        {!r ? <p class="muted">{words.noResponse}</p> : (
          <>
            <p class="url"><Status status={a.status} /></p>
            <HeaderList of={r.headers} />
            <Viewer key={nameOf(a)} text={r.body} raw={r.bodyBase64 ? decode(r.bodyBase64) : undefined} name={`${words.response} ${words.body}`} note={r.note} />
          </>
        )}
      </section>
    </div>
  );
}

function HeaderList({ of: h }: { of?: Record<string, string> }) {
  const all = Object.entries(h ?? {});
  return (
    <details class="header-list" open>
      <summary>{words.headers} <span class="muted">{all.length}</span></summary>
      <dl>{all.map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>
    </details>
  );
}

/** Compare shows how two attempts differ. What compares texts is loaded when it is needed. */
function Compare({ one, all }: { one: Attempt; all: Attempt[] }) {
  const [q, setQ] = useParams();
  const others = all.filter((a) => a !== one);
  const other = others.find((a) => nameOf(a) === q.with) ?? others.at(-1)!;
  const [diff, setDiff] = useState<typeof import("../diff")>();
  useEffect(() => void import("../diff").then(setDiff), []);
  const headers = (h?: Record<string, string>) => Object.entries(h ?? {}).map(([k, v]) => `${k}: ${v}`).sort().join("\n");
  const parts: [string, string, string][] = [
    [words.diffParts.requestHeaders, headers(other.request.headers), headers(one.request.headers)],
    [words.diffParts.requestBody, other.request.body ?? "", one.request.body ?? ""],
    [words.diffParts.responseHeaders, headers(other.response?.headers), headers(one.response?.headers)],
    [words.diffParts.responseBody, other.response?.body ?? "", one.response?.body ?? ""],
  ];
  return (
    <div class="compare">
      <label>{words.compareWith} <select value={nameOf(other)} onChange={(e) => setQ({ with: e.currentTarget.value }, { replace: true })}>
        {others.map((a) => <option key={nameOf(a)} value={nameOf(a)}>{words.run(a.run)} · {words.attempt(a.n)} · {a.status ?? a.error}</option>)}
      </select></label>
      {parts.map(([name, before, after]) => (
        <section key={name}>
          <h3>{name}</h3>
          {before === after ? <p class="muted">{words.same}</p> : !diff ? <Loading rows={1} /> : <diff.Diff before={before} after={after} name={name} />}
        </section>
      ))}
    </div>
  );
}

/** quote makes a text one word of a shell. */
function quote(s: string): string {
  return "'" + s.replaceAll("'", "'\\''") + "'";
}

/** CopyCurl copies the push as a command, signed now: the signature of an old one is refused by receivers. */
function CopyCurl({ of: d }: { of: Delivery }) {
  const [error, setError] = useState<unknown>(null);
  const copy = async () => {
    setError(null);
    try {
      const p = await change(() => client.POST("/v1/previews", { body: { delivery: d.id } }));
      const headers = Object.entries(p.request.headers ?? {}).map(([k, v]) => `  -H ${quote(`${k}: ${v}`)}`);
      await copyText([`curl -i -X ${p.request.method} ${quote(p.request.url)}`, ...headers, `  --data-binary ${quote(p.request.body ?? "")}`].join(" \\\n"));
      say(words.curlUntil(clock(Date.parse(p.signedAt) + 300_000)));
    } catch (e) {
      setError(e);
    }
  };
  useKey("c", () => void copy());
  return <><button type="button" onClick={() => void copy()}><Icon name="copy" />{words.curl}</button>{error ? <Failure error={error} /> : null}</>;
}

/** Retry sends a delivery again, after a question. */
function Retry({ of: d }: { of: Delivery }) {
  const queries = useQueryClient();
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState<unknown>(null);
  useKey("r", () => setAsked(true), may("owner") && d.state !== "pending");
  if (!may("owner") || d.state === "pending") return null;
  const send = async (force: boolean) => {
    setError(null);
    try {
      await change(() => client.POST("/v1/deliveries/{id}/retry", { params: { path: { id: d.id }, query: { force } } }));
      setAsked(false);
      say(words.retried);
      await queries.invalidateQueries({ queryKey: ["delivery", d.id] });
    } catch (e) {
      setError(e);
    }
  };
  const front = isProblem(error, 409) ? inFront(error) : undefined;
  return (
    <>
      <button type="button" class="primary" onClick={() => { setError(null); setAsked(true); }}><Icon name="replays" />{words.retry}</button>
      {asked && (
        <Dialog title={words.retryTitle} onClose={() => setAsked(false)}>
          <p>{words.retryText}</p>
          {error ? <Failure error={error} /> : null}
          {front && <Notice tone="warn"><p>{words.retryForceText}</p><p><a href={href("/deliveries/" + encodeURIComponent(front))} onClick={() => setAsked(false)}>{words.goToFront}</a></p></Notice>}
          <div class="dialog-actions">
            <button type="button" onClick={() => setAsked(false)}>{en.cancel}</button>
            {front ? <button type="button" class="primary" onClick={() => void send(true)}>{words.retryForce}</button>
              : <button type="button" class="primary" autofocus onClick={() => void send(false)}>{words.retry}</button>}
          </div>
        </Dialog>
      )}
    </>
  );
}

/** inFront returns the delivery that must end first, which a 409 names. */
function inFront(p: Problem): string | undefined {
  return p.errors.map((e) => /[0-9A-Za-z._:-]+-[0-9A-Za-z._:-]+/.exec(e.message)?.[0] ?? e.field).find(Boolean);
}
