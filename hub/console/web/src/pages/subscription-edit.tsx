import "./subscription-edit.css";
import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import {
  ask, change, client, en, Failure, Field, href, Icon, isProblem, Loading, ms, Notice, Page, Problem, say, type Schema, Tabs, useLocation, useParams, useRoute, Viewer,
} from "../frame";
import { Secrets } from "./subscription";
import { words } from "./subscription-edit.en";

type Sub = Schema["Subscription"];
type Form = Record<string, string>;
const filters = ["agentIDs", "departmentIds", "queueIds", "gatewayNumbers", "callTypes"] as const;

const fresh: Form = { events: "*", masking: "none", encryption: "none", ordering: "key" };

/** formOf returns a subscription as the texts of the form. */
function formOf(s: Sub): Form {
  const filter = (s.filter ?? {}) as Record<string, unknown[] | undefined>;
  return {
    name: s.name, description: s.description, url: s.url, events: s.events.join(", "), masking: s.masking, encryption: s.encryption, ordering: s.ordering,
    supersede: s.supersede ? "yes" : "", strictAck: s.strictAck ? "yes" : "", timeoutMs: String(s.timeoutMs), maxInFlight: String(s.maxInFlight),
    ratePerSecond: s.ratePerSecond == null ? "" : String(s.ratePerSecond), expiresAfter: s.expiresAfter ?? "", cdr: (s.retry.cdr.schedule ?? []).join(", "), live: (s.retry.live.schedule ?? []).join(", "),
    giveCdr: s.giveUpAfter.cdr, giveLive: s.giveUpAfter.live, ...Object.fromEntries(filters.map((n) => [n, (filter[n] ?? []).join(", ")])),
  };
}

const list = (text = "") => text.split(/[\s,]+/).filter(Boolean);

/** inputOf returns what the API takes. Only what differs from before is in it. */
function inputOf(f: Form, before: Form): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  const changed = (...names: string[]) => names.some((n) => (f[n] ?? "") !== (before[n] ?? ""));
  for (const n of ["name", "description", "url", "masking", "encryption", "ordering"]) if (changed(n)) out[n] = f[n];
  if (changed("events")) out.events = list(f.events);
  for (const n of ["timeoutMs", "maxInFlight", "ratePerSecond"]) if (changed(n)) out[n] = f[n] ? Number(f[n]) : null;
  if (changed("expiresAfter")) out.expiresAfter = f.expiresAfter || null;
  for (const n of ["strictAck", "supersede"]) if (changed(n)) out[n] = f[n] === "yes";
  if (changed(...filters)) {
    const given = filters.filter((n) => list(f[n]).length > 0);
    out.filter = given.length > 0 ? Object.fromEntries(given.map((n) => [n, list(f[n])])) : null;
  }
  if (changed("cdr", "live")) out.retry = Object.fromEntries(["cdr", "live"].filter((n) => changed(n)).map((n) => [n, { schedule: list(f[n]) }]));
  if (changed("giveCdr", "giveLive")) out.giveUpAfter = { ...(changed("giveCdr") && { cdr: f.giveCdr }), ...(changed("giveLive") && { live: f.giveLive }) };
  const headers = (f.headers ?? "").split("\n").map((l) => /^([^:]+):\s*(.*)$/.exec(l)).filter((m) => m !== null);
  if (headers.length > 0) out.headers = Object.fromEntries(headers.map((m) => [m[1]!.trim(), m[2]!]));
  return out;
}

export default function EditPage() {
  const id = useRoute().params.id;
  const [q] = useParams();
  const from = id ?? q.from;
  const s = useQuery<Sub>({ queryKey: ["subscription", from], enabled: !!from, queryFn: ({ signal }) => ask(client.GET("/v1/subscriptions/{id}", { params: { path: { id: from! } }, signal })) });
  const head = <a class="crumb" href={href(id ? "/subscriptions/" + id : "/subscriptions")}><Icon name="left" />{words.back}</a>;
  const title = id ? words.edit : words.create;
  return (
    <Page title={title} head={head}>
      {s.error ? <Failure error={s.error} /> : from && !s.data ? <Loading /> : <Editor key={`${from}/${s.data?.version}`} stored={id ? s.data : undefined} model={s.data} readAgain={() => void s.refetch()} />}
    </Page>
  );
}

function Editor({ stored, model, readAgain }: { stored?: Sub; model?: Sub; readAgain: () => void }) {
  const before = stored ? formOf(stored) : {};
  const [f, setForm] = useState<Form>(() => (model ? { ...formOf(model), ...(!stored && { name: "" }) } : fresh));
  const [error, setError] = useState<unknown>(null);
  const [made, setMade] = useState<Sub>();
  const queries = useQueryClient();
  const { route } = useLocation();
  const set = (name: string) => (e: { currentTarget: { value: string } }) => setForm({ ...f, [name]: e.currentTarget.value });
  const wrong = (name: string) => (error instanceof Problem ? error.field(name) || error.errors.find((x) => x.field.replace(/^\//, "").split(/[./[]/)[0] === name)?.message || "" : "");
  const input = inputOf(f, before);

  const save = async (e: SubmitEvent) => {
    e.preventDefault();
    setError(null);
    try {
      if (stored) {
        await change(() => client.PATCH("/v1/subscriptions/{id}", { params: { path: { id: stored.id }, header: { "If-Match": `"${stored.version}"` } }, body: input as never }));
        await queries.invalidateQueries();
        say(words.saved);
        route(href("/subscriptions/" + stored.id));
      } else {
        setMade(await change(() => client.POST("/v1/subscriptions", { body: input as never })));
        await queries.invalidateQueries({ queryKey: ["subscriptions"] });
      }
    } catch (e) {
      setError(e);
    }
  };

  const text = (name: string, hint?: string, extra: Record<string, unknown> = {}) => (
    <Field key={name} label={words.fields[name]} hint={hint} error={wrong(name)}>{(p) => <input {...p} {...extra} name={name} value={f[name] ?? ""} onInput={set(name)} />}</Field>
  );
  const pick = (name: string) => (
    <Field key={name} label={words.fields[name]} error={wrong(name)}>{(p) => <select {...p} value={f[name]} onChange={set(name)}>{Object.entries(words.options[name]!).map(([v, t]) => <option key={v} value={v}>{t}</option>)}</select>}</Field>
  );
  const check = (name: string) => <label key={name} class="check"><input type="checkbox" checked={f[name] === "yes"} onChange={(e) => setForm({ ...f, [name]: e.currentTarget.checked ? "yes" : "" })} />{words.fields[name]}</label>;

  return (
    <div class="form-page">
      <form onSubmit={(e) => void save(e)}>
        {isProblem(error, 412) ? <Notice tone="warn"><p>{words.conflict}</p><button type="button" onClick={readAgain}>{words.readAgain}</button></Notice> : error ? <Failure error={error} /> : null}
        <fieldset><legend>{words.where}</legend>
          {text("url", words.hints.url, { type: "url", required: true, placeholder: "https://" })}
          <div class="pairs">{text("name")}{text("description")}</div>
          <Field label={words.fields.headers} hint={words.hints.headers} error={wrong("headers")}>{(p) => <textarea {...p} rows={2} value={f.headers ?? ""} onInput={set("headers")} />}</Field>
        </fieldset>
        <fieldset><legend>{words.what}</legend>
          <Field label={words.fields.events} hint={words.hints.events} error={wrong("events")}>{(p) => <textarea {...p} rows={2} value={f.events ?? ""} onInput={set("events")} />}</Field>
          <p class="hint">{words.hints.filter}</p>
          <div class="pairs">{filters.map((n) => text(n))}</div>
        </fieldset>
        <fieldset><legend>{words.how}</legend>
          <div class="pairs">{pick("masking")}{pick("encryption")}{pick("ordering")}</div>
          <details><summary>{words.more}</summary>
            <div class="pairs">
              {text("cdr", words.hints.schedule)}{text("giveCdr")}{text("live", words.hints.schedule)}{text("giveLive")}
              {text("timeoutMs", undefined, { type: "number" })}{text("maxInFlight", undefined, { type: "number" })}{text("ratePerSecond", words.hints.ratePerSecond, { type: "number", step: "any" })}{text("expiresAfter", words.hints.expiresAfter)}
            </div>
            {check("strictAck")} {check("supersede")}
          </details>
        </fieldset>
        <div class="actions"><button type="submit" class="primary">{words.save}</button><a class="button" href={href(stored ? "/subscriptions/" + stored.id : "/subscriptions")}>{en.cancel}</a></div>
      </form>
      <Preview f={f} />
      {made && <Secrets of={made} done={() => { const id = made.id; setMade(undefined); route(href("/subscriptions/" + id)); }} />}
    </div>
  );
}

type View = keyof typeof words.views;

/** Preview shows the push that the subscription in the form would get, and sends one on demand. */
function Preview({ f }: { f: Form }) {
  const types = useQuery<Schema["Type"][]>({ queryKey: ["types"], staleTime: Infinity, queryFn: async ({ signal }) => (await ask(client.GET("/v1/types", { signal }))).data });
  const [type, setType] = useState("call.ringing");
  const [view, setView] = useState<View>("plain");
  const [later, setLater] = useState(f);
  useEffect(() => {
    const id = setTimeout(() => setLater(f), 500);
    return () => clearTimeout(id);
  }, [f]);
  const subscription = inputOf(later, {});
  const p = useQuery({
    queryKey: ["preview", subscription, type], enabled: !!later.url, placeholderData: (before: unknown) => before as never,
    queryFn: ({ signal }) => ask(client.POST("/v1/previews", { body: { subscription, type } as never, signal })),
  });
  const data = p.data as undefined | { plain: string; masked?: string; sealed?: string; request: Schema["SentRequest"]; matching?: { events: number; matched: number } };
  return (
    <aside class="card preview" aria-label={words.preview}>
      <div class="card-head"><h2>{words.preview}</h2>
        <label>{words.sample} <select value={type} onChange={(e) => setType(e.currentTarget.value)}>{(types.data ?? []).map((t) => <option key={t.type} value={t.type}>{t.type}</option>)}</select></label></div>
      <div class="card-body">
        {!later.url ? <p class="muted">{words.needURL}</p> : p.error ? <Failure error={p.error} /> : !data ? <Loading rows={3} /> : (
          <>
            {data.matching && <p>{words.matching(data.matching.matched, data.matching.events)}</p>}
            <Tabs label={words.preview} value={view} onChange={setView} tabs={Object.entries(words.views) as [View, string][]} />
            {view === "headers" ? <Viewer name={words.views.headers} text={Object.entries(data.request.headers).map(([k, v]) => `${k}: ${v}`).join("\n")} />
              : data[view] === undefined ? <p class="muted">{words.same}</p> : <Viewer name={words.views[view]} text={data[view]} />}
          </>
        )}
        {later.url && <Probe subscription={subscription} type={type} />}
      </div>
    </aside>
  );
}

function Probe({ subscription, type }: { subscription: Record<string, unknown>; type: string }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [a, setAttempt] = useState<{ status?: number; error?: string; errorDetail?: string; durationsMs: { total: number }; response?: { body?: string } }>();
  const send = async () => {
    setBusy(true);
    setError(null);
    try {
      setAttempt(await change(() => client.POST("/v1/probes", { body: { subscription, type } as never })));
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <button type="button" disabled={busy} onClick={() => void send()}><Icon name="play" />{busy ? words.probing : words.probe}</button>
      {error ? <Failure error={error} /> : null}
      {a && <Notice tone={a.error ? "bad" : "good"}><p>{a.error ? words.probeBad(`${en.errors[a.error] ?? a.error}${a.errorDetail ? ", " + a.errorDetail : ""}`) : words.probeGood(a.status ?? 0)} {ms(a.durationsMs.total)}</p>
        {a.response?.body && <Viewer name={words.probe} text={a.response.body} />}</Notice>}
    </>
  );
}
