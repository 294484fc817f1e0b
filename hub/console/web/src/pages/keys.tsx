import { useState } from "preact/hooks";
import { useQueryClient } from "@tanstack/preact-query";
import {
  ask, Badge, change, client, Copy, Dialog, Empty, en, Facts, Failure, Field, fromLocal, Icon, ListState, Page, type Schema, session, Time, useList, ZoneName,
} from "../frame";
import { words } from "./keys.en";

type Key = Schema["Key"];
type App = Schema["App"];
const unusedFor = 90 * 864e5; // ms

export default function Keys() {
  const company = session.value!.companyId ?? "platform";
  const platform = session.value!.role === "platform";
  return (
    <Page title={words.title} lead={words.lead}>
      <KeyList company={company} />
      {!platform && <AppList />}
    </Page>
  );
}

/** useAct runs a change and keeps what went wrong. */
function useAct(): [unknown, (act: () => Promise<void>) => void] {
  const [error, setError] = useState<unknown>(null);
  return [error, (act) => { setError(null); act().catch(setError); }];
}

function KeyList({ company }: { company: string }) {
  const queries = useQueryClient();
  const list = useList<Key>(["keys", company], (cursor, signal) => ask(client.GET("/v1/tenants/{id}/keys", { params: { path: { id: company }, query: { limit: 100, cursor } }, signal })));
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Key>();
  const [error, act] = useAct();
  const c = words.columns;
  const revoke = (k: Key) => act(async () => {
    await change(() => client.DELETE("/v1/tenants/{id}/keys/{keyId}", { params: { path: { id: company, keyId: k.id } } }));
    setRevoking(undefined);
    await queries.invalidateQueries({ queryKey: ["keys"] });
  });
  return (
    <section class="stack">
      <div class="page-head"><h2>{words.keys}</h2><button type="button" class="primary" onClick={() => setMaking(true)}><Icon name="plus" />{words.makeKey}</button></div>
      {list.rows.length > 0 && (
        <div class="table-box" tabIndex={0} role="region" aria-label={words.keys}>
          <table class="rows">
            <thead><tr><th scope="col">{c.name}</th><th scope="col">{c.role}</th><th scope="col">{c.state}</th><th scope="col" class="from-600">{c.used} <ZoneName /></th><th scope="col" class="from-900">{c.made}</th><th scope="col" class="from-900">{c.expires}</th><th scope="col"><span class="hidden">{words.revoke}</span></th></tr></thead>
            <tbody>{list.rows.map((k) => (
              <tr key={k.id}>
                <td>{k.name || <span class="muted">{words.unnamed}</span>}</td><td>{en.roles[k.role]}{k.pii && <span class="chip">{en.top.pii}</span>}</td><td><KeyState of={k} /></td>
                <td class="from-600">{k.lastUsedAt ? <Time at={k.lastUsedAt} /> : en.never}</td><td class="from-900"><Time at={k.createdAt} /></td><td class="from-900">{k.expiresAt ? <Time at={k.expiresAt} /> : en.never}</td>
                <td>{!k.revokedAt && <button type="button" class="quiet" aria-label={`${words.revoke} ${k.name}`} onClick={() => setRevoking(k)}>{words.revoke}</button>}</td>
              </tr>
            ))}</tbody>
          </table>
        </div>
      )}
      <ListState list={list} empty={<Empty title={words.noKeys} />} />
      {making && <MakeKey company={company} onClose={() => setMaking(false)} />}
      {revoking && (
        <Dialog title={words.revokeTitle} onClose={() => setRevoking(undefined)}>
          <p><b>{revoking.name || words.unnamed}</b> ({en.roles[revoking.role]})</p>
          <p>{words.revokeText}</p>
          {revoking.id === session.value?.keyId && <p><b>{words.revokeOwn}</b></p>}
          {error ? <Failure error={error} /> : null}
          <div class="dialog-actions"><button type="button" onClick={() => setRevoking(undefined)}>{en.cancel}</button><button type="button" class="danger" onClick={() => revoke(revoking)}>{words.revoke}</button></div>
        </Dialog>
      )}
    </section>
  );
}

function KeyState({ of: k }: { of: Key }) {
  const s = words.states;
  if (k.revokedAt) return <Badge tone="still" icon="stop">{s.revoked}</Badge>;
  if (k.expiresAt && Date.parse(k.expiresAt) <= Date.now()) return <Badge tone="still" icon="hourglass">{s.expired}</Badge>;
  if (Date.now() - Date.parse(k.lastUsedAt ?? k.createdAt) > unusedFor) return <Badge tone="warn" icon="warn">{s.unused}</Badge>;
  return <Badge tone="good" icon="check">{s.good}</Badge>;
}

function MakeKey({ company, onClose }: { company: string; onClose: () => void }) {
  const queries = useQueryClient();
  const [error, act] = useAct();
  const [made, setMade] = useState<Key>();
  const roles = (company === "platform" ? ["platform"] : ["owner", "auditor", "query", "ingest"]) as Key["role"][];
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    const expires = f.get("expiresAt") as string;
    act(async () => {
      setMade(await change(() => client.POST("/v1/tenants/{id}/keys", { params: { path: { id: company } }, body: {
        role: f.get("role") as Key["role"], name: f.get("name") as string, pii: f.get("pii") === "on",
        ...(expires && { expiresAt: new Date(fromLocal(expires)).toISOString() }),
      } })));
      await queries.invalidateQueries({ queryKey: ["keys"] });
    });
  };
  if (made) return <Once rows={[[words.key, made.key!]]} onClose={onClose} />;
  const w = words.fields;
  return (
    <Dialog title={words.makeKey} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        {error ? <Failure error={error} /> : null}
        <Field label={w.name}>{(p) => <input {...p} name="name" maxLength={200} autofocus />}</Field>
        <Field label={w.role}>{(p) => <select {...p} name="role">{roles.map((r) => <option key={r} value={r}>{en.roles[r]}</option>)}</select>}</Field>
        <label class="check"><input type="checkbox" name="pii" />{w.pii}</label>
        <Field label={w.expires} hint={w.expiresHint}>{(p) => <input {...p} name="expiresAt" type="datetime-local" />}</Field>
        <div class="dialog-actions"><button type="button" onClick={onClose}>{en.cancel}</button><button type="submit" class="primary">{words.make}</button></div>
      </form>
    </Dialog>
  );
}

/** Once shows a secret that is not shown again. */
function Once({ rows, onClose }: { rows: [string, string][]; onClose: () => void }) {
  const [stored, setStored] = useState(false);
  return (
    <Dialog title={words.shown} onClose={() => stored && onClose()}>
      <p>{words.shownText}</p>
      <Facts rows={rows.map(([k, v]) => [k, <span class="id"><code>{v}</code><Copy text={v} what={k} /></span>])} />
      <label class="check"><input type="checkbox" checked={stored} onChange={(e) => setStored(e.currentTarget.checked)} />{words.stored}</label>
      <div class="dialog-actions"><button type="button" class="primary" disabled={!stored} onClick={onClose}>{en.close}</button></div>
    </Dialog>
  );
}

function AppList() {
  const queries = useQueryClient();
  const list = useList<App>(["apps"], (cursor, signal) => ask(client.GET("/v1/apps", { params: { query: { limit: 100, cursor } }, signal })));
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<App>();
  const [deleting, setDeleting] = useState<App>();
  const [error, act] = useAct();
  const c = words.columns;
  const make = (e: SubmitEvent) => {
    e.preventDefault();
    const f = new FormData(e.currentTarget as HTMLFormElement);
    act(async () => {
      setMade(await change(() => client.POST("/v1/apps", { body: { kind: f.get("kind") as App["kind"], name: f.get("name") as string } })));
      setMaking(false);
      await queries.invalidateQueries({ queryKey: ["apps"] });
    });
  };
  const remove = (a: App) => act(async () => {
    await change(() => client.DELETE("/v1/apps/{id}", { params: { path: { id: a.appId } } }));
    setDeleting(undefined);
    await queries.invalidateQueries({ queryKey: ["apps"] });
  });
  return (
    <section class="stack">
      <div class="page-head"><h2>{words.apps}</h2><button type="button" onClick={() => setMaking(true)}><Icon name="plus" />{words.makeApp}</button></div>
      {list.rows.length > 0 && (
        <div class="table-box" tabIndex={0} role="region" aria-label={words.apps}>
          <table class="rows">
            <thead><tr><th scope="col">{c.name}</th><th scope="col">{c.kind}</th><th scope="col">{c.id}</th><th scope="col" class="from-600">{c.made} <ZoneName /></th><th scope="col"><span class="hidden">{words.delete}</span></th></tr></thead>
            <tbody>{list.rows.map((a) => (
              <tr key={a.id}><td>{a.name || <span class="muted">{words.unnamed}</span>}</td><td>{a.kind}</td><td><code>{a.appId}</code></td><td class="from-600"><Time at={a.createdAt} /></td>
                <td><button type="button" class="quiet" aria-label={`${words.delete} ${a.name}`} onClick={() => setDeleting(a)}>{words.delete}</button></td></tr>
            ))}</tbody>
          </table>
        </div>
      )}
      <ListState list={list} empty={<Empty title={words.noApps} />} />
      {making && (
        <Dialog title={words.makeApp} onClose={() => setMaking(false)}>
          <form class="stack" onSubmit={make}>
            {error ? <Failure error={error} /> : null}
            <Field label={words.fields.name}>{(p) => <input {...p} name="name" maxLength={200} autofocus />}</Field>
            <Field label={words.fields.kind}>{(p) => <select {...p} name="kind"><option value="sobot">sobot</option><option value="oauth1">oauth1</option></select>}</Field>
            <div class="dialog-actions"><button type="button" onClick={() => setMaking(false)}>{en.cancel}</button><button type="submit" class="primary">{words.make}</button></div>
          </form>
        </Dialog>
      )}
      {made && <Once rows={[[words.appId, made.appId], [words.secret, made.appSecret ?? ""]]} onClose={() => setMade(undefined)} />}
      {deleting && (
        <Dialog title={words.deleteTitle} onClose={() => setDeleting(undefined)}>
          <p>{words.deleteText}</p>{error ? <Failure error={error} /> : null}
          <div class="dialog-actions"><button type="button" onClick={() => setDeleting(undefined)}>{en.cancel}</button><button type="button" class="danger" onClick={() => remove(deleting)}>{words.delete}</button></div>
        </Dialog>
      )}
    </section>
  );
}
