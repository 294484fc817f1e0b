import { useQuery } from "@tanstack/preact-query";
import { ask, Badge, bytes, client, en, Facts, Failure, href, Icon, Id, isProblem, Loading, may, Page, problemOf, type Schema, short, State, Time, useRoute, Viewer } from "../frame";
import { words } from "./event.en";

type Explanation = Schema["Explanation"];

export default function EventPage() {
  const id = useRoute().params.id!;
  const e = useQuery<Schema["EventDetail"]>({ queryKey: ["event", id], queryFn: ({ signal }) => ask(client.GET("/v1/events/{id}", { params: { path: { id } }, signal })) });
  const head = <a class="crumb" href={href("/events")}><Icon name="left" />{words.back}</a>;
  if (e.error) return <Page title={words.title} head={head}><Failure error={e.error} again={() => void e.refetch()} /></Page>;
  if (!e.data) return <Page title={words.title} head={head}><Loading /></Page>;
  return (
    <Page title={e.data.type} head={head}>
      <div class="two">
        <section class="card"><h2>{words.summary}</h2><div class="card-body"><Summary of={e.data} /></div></section>
        <section class="card"><h2>{words.body}</h2><div class="card-body"><Body id={id} warnings={e.data.warnings} /></div></section>
      </div>
      <Why id={id} />
    </Page>
  );
}

function Summary({ of: e }: { of: Schema["EventDetail"] }) {
  const f = words.fields;
  return (
    <Facts rows={[
      [words.title, <Id id={e.id} what={words.id} />],
      [f.accepted, <Time at={e.acceptedAt} form="both" />],
      [f.time, <Time at={e.time} form="both" />],
      [f.source, e.source],
      [f.key, e.keyId && <code>{short(e.keyId)}</code>],
      [f.orderKey, e.orderKey && <><code>{e.orderKey}</code> <a href={href("/deliveries", { orderKey: e.orderKeyHandle ?? e.orderKey })}>{words.story}</a></>],
      [f.sequence, String(e.sequence)],
      [f.size, bytes(e.size)],
      [f.matched, String(e.matched)],
      [f.warnings, e.warnings?.length ? <ul>{e.warnings.map((w, i) => <li key={i}>{w.message}</li>)}</ul> : undefined],
    ]} />
  );
}

/** Body shows the bytes that were sent. They are asked for as bytes, as JSON.parse would change them. */
function Body({ id }: { id: string; warnings?: unknown }) {
  const form = may("owner") ? "plain" : "masked";
  const q = useQuery<string>({
    queryKey: ["event", id, "body"],
    queryFn: async ({ signal }) => {
      const r = await fetch(`/v1/events/${encodeURIComponent(id)}/body?form=${form}`, { signal });
      if (!r.ok) throw await problemOf(r, await r.json().catch(() => undefined));
      return r.text();
    },
  });
  if (isProblem(q.error, 410)) return <p class="muted">{words.gone}</p>;
  if (q.error) return <Failure error={q.error} again={() => void q.refetch()} />;
  return q.data === undefined ? <Loading rows={3} /> : <Viewer text={q.data} name={words.body} />;
}

/** Why shows what every subscription made of the event. */
function Why({ id }: { id: string }) {
  const q = useQuery<Explanation[]>({
    queryKey: ["event", id, "explain"],
    queryFn: async ({ signal }) => (await ask(client.GET("/v1/events/{id}/explain", { params: { path: { id }, query: { limit: 200 } }, signal }))).data,
  });
  const c = words.columns;
  return (
    <section class="card">
      <div class="card-head"><h2>{words.why}</h2><span class="muted">{words.whyLead}</span></div>
      {q.error ? <div class="card-body"><Failure error={q.error} again={() => void q.refetch()} /></div> : !q.data ? <div class="card-body"><Loading rows={3} /></div>
        : q.data.length === 0 ? <p class="card-body muted">{words.none}</p> : (
          <div class="scroll" tabIndex={0} role="region" aria-label={words.why}>
            <table class="why">
              <thead><tr><th scope="col">{c.subscription}</th><th scope="col">{c.verdict}</th><th scope="col">{c.words}</th><th scope="col">{c.delivery}</th></tr></thead>
              <tbody>{q.data.map((x) => (
                <tr key={x.subscription}>
                  <td><a href={href("/subscriptions/" + x.subscription)}>{x.name || short(x.subscription)}</a></td>
                  <td>{x.verdict === "matched" ? <Badge tone="good" icon="check">{words.verdicts.matched}</Badge> : <Badge tone="still" icon="cross">{words.verdicts[x.verdict]}</Badge>}</td>
                  <td class="because">{x.words}{x.verdict === "filter" && !x.deleted && may("owner") && <> <a href={href(`/subscriptions/${x.subscription}/edit`)}>{words.edit}</a></>}
                    {x.waiting && <div class="muted">{words.waiting[x.waiting.for]}{x.waiting.until && <> {words.until} <Time at={x.waiting.until} /></>}
                      {x.waiting.behind && <> <a href={href("/deliveries/" + encodeURIComponent(x.waiting.behind))}>{words.behind}</a></>}</div>}
                  </td>
                  <td>{x.delivery && <a href={href("/deliveries/" + encodeURIComponent(x.delivery))}>{x.state ? <State of={x.state} /> : en.open}</a>}</td>
                </tr>
              ))}</tbody>
            </table>
          </div>
        )}
    </section>
  );
}
