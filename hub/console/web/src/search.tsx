// The search box. What is pasted is looked at here, and opens the page that it belongs to.
import { signal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { useEffect, useState } from "preact/hooks";
import { ask, client, isProblem } from "./api";
import { en } from "./en";
import type { PageInfo } from "./pages";
import { Dialog, Failure } from "./parts";
import { may } from "./session";
import { href } from "./url";

export const searchOpen = signal(false);

interface Hit {
  text: string;
  url: string;
}

/** pagesNamed returns the pages whose names a text is the beginning of. */
function pagesNamed(text: string, pages: PageInfo[]): Hit[] {
  const t = text.toLowerCase();
  return pages.filter((p) => p.nav && en.nav[p.nav.label].toLowerCase().split(" ").some((w, i, all) => all.slice(i).join(" ").startsWith(t)))
    .map((p) => ({ text: en.search.go(en.nav[p.nav!.label]), url: href(p.path) }));
}

/** find asks the hub what an id belongs to: a delivery, an event, a subscription, or a call. */
async function find(text: string, signal: AbortSignal): Promise<Hit[]> {
  if (!may("owner", "auditor")) return [];
  const is = (answer: Promise<unknown>, hit: Hit) => answer.then(() => [hit]).catch((e: unknown) => {
    if (isProblem(e) && (e.status === 404 || e.status === 400 || e.status === 422)) return [];
    throw e;
  });
  const stories = async (orderKey: string): Promise<Hit[]> => {
    const page = await ask(client.GET("/v1/deliveries", { params: { query: { orderKey, limit: 1 } }, signal }));
    return page.data.length > 0 ? [{ text: en.search.go(en.search.orderKey(orderKey)), url: href("/deliveries", { orderKey }) }] : [];
  };
  if (/^(cdr|call|agent|chat)\//.test(text)) return stories(text);
  const id = { params: { path: { id: text } }, signal };
  const found = await Promise.all([
    is(ask(client.GET("/v1/deliveries/{id}", id)), { text: en.search.go(en.search.delivery), url: href("/deliveries/" + encodeURIComponent(text)) }),
    is(ask(client.GET("/v1/events/{id}", id)), { text: en.search.go(en.search.event), url: href("/events/" + encodeURIComponent(text)) }),
    is(ask(client.GET("/v1/subscriptions/{id}", id)), { text: en.search.go(en.search.subscription), url: href("/subscriptions/" + encodeURIComponent(text)) }),
    stories("cdr/" + text), stories("call/" + text), stories("agent/" + text),
  ]);
  return found.flat();
}

export function Search({ pages }: { pages: PageInfo[] }) {
  const { route } = useLocation();
  const [text, setText] = useState("");
  const [hits, setHits] = useState<Hit[]>();
  const [error, setError] = useState<unknown>(null);
  const named = text ? pagesNamed(text, pages) : [];
  useEffect(() => {
    setHits(undefined);
    setError(null);
    const wanted = text.trim();
    if (wanted.length < 3) return;
    const stop = new AbortController();
    const id = setTimeout(() => {
      find(wanted, stop.signal).then(setHits).catch((e: unknown) => !stop.signal.aborted && setError(e));
    }, 150);
    return () => {
      clearTimeout(id);
      stop.abort();
    };
  }, [text]);

  const all = [...named, ...(hits ?? [])];
  const close = () => (searchOpen.value = false);
  const open = (h: Hit) => {
    close();
    route(h.url);
  };
  return (
    <Dialog title={en.search.label} onClose={close}>
      <form onSubmit={(e) => { e.preventDefault(); if (all[0]) open(all[0]); }}>
        <input type="search" class="search-field" aria-label={en.search.label} placeholder={en.search.placeholder} autofocus spellcheck={false}
          value={text} onInput={(e) => setText(e.currentTarget.value)} />
      </form>
      <ul class="hits" aria-live="polite">
        {all.map((h) => <li key={h.url}><a href={h.url} onClick={close}>{h.text}</a></li>)}
      </ul>
      {error ? <Failure error={error} /> : null}
      {text.trim().length >= 3 && !error && all.length === 0 && <p class="muted" role="status">{hits ? en.search.none : en.search.looking}</p>}
      <p class="hint">{en.search.help}</p>
    </Dialog>
  );
}
