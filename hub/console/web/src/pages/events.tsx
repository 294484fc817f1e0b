import { ask, bytes, client, type Column, Copy, count, Empty, en, href, Icon, ListState, Page, type Schema, Table, Time, useList, useParams, ZoneName, Badge } from "../frame";
import { words } from "./events.en";

type Event = Schema["Event"];

const columns: Column<Event>[] = [
  { key: "accepted", head: <>{words.columns.accepted} <ZoneName /></>, cell: (e) => <Time at={e.acceptedAt} /> },
  { key: "type", head: words.columns.type, cell: (e) => <code>{e.type}</code> },
  { key: "matched", head: words.columns.matched, cell: (e) => e.matched > 0 ? count(e.matched) : <Badge tone="warn" icon="info">{words.unmatched}</Badge>, from: 600 },
  { key: "orderKey", head: words.columns.orderKey, cell: (e) => e.orderKey && <code>{e.orderKey}</code>, from: 600, wide: true },
  { key: "source", head: words.columns.source, cell: (e) => e.source, from: 900 },
  { key: "size", head: words.columns.size, cell: (e) => bytes(e.size), num: true, from: 900 },
  { key: "warnings", head: words.columns.warnings, cell: (e) => e.warnings?.length ? <Badge tone="warn" icon="warn">{e.warnings.length}</Badge> : null, from: 900 },
];

export default function Events() {
  const [q, setQ] = useParams();
  const names = ["type", "orderKey", "matched", "warnings", "from", "to"] as const;
  const filter = Object.fromEntries(names.filter((n) => q[n]).map((n) => [n, q[n]]));
  const list = useList<Event>(["events", filter], (cursor, signal) =>
    ask(client.GET("/v1/events", { params: { query: { ...filter, limit: 100, cursor } as never }, signal })));
  const given = names.filter((n) => q[n]);
  return (
    <Page title={words.title} lead={words.lead}>
      <form class="filter-bar" data-filters onSubmit={(e) => {
        e.preventDefault();
        const f = new FormData(e.currentTarget);
        setQ({ type: (f.get("type") as string).trim(), orderKey: (f.get("orderKey") as string).trim() });
      }}>
        <label>{words.type}<input name="type" type="search" defaultValue={q.type ?? ""} key={"t" + q.type} placeholder={words.typeHint} /></label>
        <label>{words.orderKey}<input name="orderKey" type="search" defaultValue={q.orderKey ?? ""} key={"o" + q.orderKey} placeholder={words.orderKeyHint} /></label>
        <button type="submit"><Icon name="filter" />{en.apply}</button>
        <label class="check"><input type="checkbox" checked={q.matched === "false"} onChange={(e) => setQ({ matched: e.currentTarget.checked ? "false" : undefined })} />{words.onlyUnmatched}</label>
        <label class="check"><input type="checkbox" checked={q.warnings === "true"} onChange={(e) => setQ({ warnings: e.currentTarget.checked ? "true" : undefined })} />{words.onlyWarnings}</label>
      </form>
      {list.rows.length > 0 && <Table label={words.title} columns={columns} rows={list.rows} id={(e) => e.id} link={(e) => href("/events/" + encodeURIComponent(e.eventHandle ?? e.id))} onEnd={list.next} />}
      <ListState list={list} onOlder={() => setQ({ to: list.rows.at(-1)?.acceptedAt })}
        empty={given.length > 0
          ? <Empty title={en.list.noMatch}><div class="chips">{given.map((n) => <button key={n} type="button" onClick={() => setQ({ [n]: undefined })}>{en.list.clear(n)}</button>)}</div></Empty>
          : <Never />} />
    </Page>
  );
}

function Never() {
  const curl = `curl ${location.origin}/v1/events -H "Authorization: Bearer $HOOKLINE_KEY" -H "Content-Type: application/json" \\\n  -d '{"type": "call.ringing", "data": {"callID": "c1", "partyID": "p1", "thisDN": "1001"}}'`;
  return <Empty title={words.never}><p>{words.neverText}</p><pre tabIndex={0}>{curl}</pre><Copy text={curl} what="curl" label={en.copy} /></Empty>;
}
