import { useEffect, useRef, useState } from "preact/hooks";
import { Badge, clock, count, Failure, href, Icon, ms, Page, problemOf, type Schema, State, Status, Time, useKey, useParams, ZoneName } from "../frame";
import { words } from "./tail.en";

type Attempt = Schema["TailAttempt"];
type Row = Attempt | { gap: [number, number] };

const most = 1000; // rows that are kept
const hiddenFor = 60_000; // ms after which a tab that nobody sees lets go of its stream

/** Reader reads the stream, and comes back when it is cut. */
class Reader {
  private stop = new AbortController();
  private lastAt = Date.now();
  constructor(private query: string, private on: { row: (r: Row) => void; state: (s: string) => void; error: (e: unknown) => void }) {
    void this.run();
  }

  close() {
    this.stop.abort();
  }

  private async run() {
    for (let wait = 500; !this.stop.signal.aborted; wait = Math.min(wait * 2, 10_000)) {
      try {
        const began = Date.now();
        if (await this.read()) return;
        if (Date.now() - began > 5000) wait = 500;
      } catch {
        if (this.stop.signal.aborted) return;
      }
      this.on.state("lost");
      await new Promise((done) => setTimeout(done, wait));
    }
  }

  /** read reads until the stream ends; true if there is no use in coming back. */
  private async read(): Promise<boolean> {
    const r = await fetch("/v1/tail" + this.query, { signal: this.stop.signal, headers: { Accept: "text/event-stream" } });
    if (!r.ok || !r.body) {
      if (r.status >= 500 || r.status === 429) return false;
      this.on.error(await problemOf(r, await r.json().catch(() => undefined)));
      return true;
    }
    if (this.lost) this.on.row({ gap: [this.lost, Date.now()] });
    this.lost = 0;
    this.on.state("live");
    const reader = r.body.pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array<ArrayBuffer>>).getReader();
    let text = "";
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return false;
        text += value;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          this.event(text.slice(0, end));
          text = text.slice(end + 2);
        }
      }
    } finally {
      this.lost = this.lastAt;
    }
  }

  private lost = 0;

  private event(block: string) {
    this.lastAt = Date.now();
    const line = (name: string) => block.split("\n").find((l) => l.startsWith(name + ": "))?.slice(name.length + 2);
    if (line("event") === "attempt") this.on.row(JSON.parse(line("data")!) as Attempt);
  }
}

export default function Tail() {
  const [q, setQ] = useParams();
  const [rows, setRows] = useState<Row[]>([]);
  const [held, setHeld] = useState(0); // rows that came while nobody looked at the top
  const [state, setState] = useState("connecting");
  const [error, setError] = useState<unknown>(null);
  const [paused, setPaused] = useState(false);
  const [rate, setRate] = useState(0);
  const letGo = useRef(0);
  const waiting = useRef<Row[]>([]);
  const came = useRef(0);
  const query = new URLSearchParams(Object.entries({ type: q.type, subscription: q.subscription }).filter((e): e is [string, string] => !!e[1])).toString();
  const failures = q.failures === "true";
  useKey("p", () => setPaused(!paused));

  // The stream is open while the tab can be seen, and a minute longer.
  useEffect(() => {
    let reader: Reader | undefined;
    let timer = 0;
    const open = () => {
      clearTimeout(timer);
      reader ??= new Reader(query ? "?" + query : "", {
        row: (r) => { came.current++; waiting.current.push(r); if (waiting.current.length > most) { waiting.current.shift(); letGo.current++; } },
        state: setState, error: setError,
      });
    };
    const seen = () => {
      if (!document.hidden) return open();
      timer = setTimeout(() => { reader?.close(); reader = undefined; setState("hidden"); }, hiddenFor) as unknown as number;
    };
    open();
    document.addEventListener("visibilitychange", seen);
    return () => { clearTimeout(timer); reader?.close(); document.removeEventListener("visibilitychange", seen); };
  }, [query]);

  // Rows are shown a few times a second, however many come. What is being read does not move.
  useEffect(() => {
    const show = setInterval(() => {
      if (waiting.current.length === 0) return;
      if (paused || scrollY > 40) return setHeld(waiting.current.length);
      const fresh = waiting.current.reverse();
      waiting.current = [];
      setHeld(0);
      setRows((old) => {
        const all = [...fresh, ...old];
        letGo.current += Math.max(0, all.length - most);
        return all.slice(0, most);
      });
    }, 200);
    const meter = setInterval(() => { setRate(came.current / 2); came.current = 0; }, 2000);
    return () => { clearInterval(show); clearInterval(meter); };
  }, [paused]);

  const shown = failures ? rows.filter((r) => "gap" in r || r.error || r.status >= 300) : rows;
  const now = paused ? "paused" : state;
  return (
    <Page title={words.title} lead={words.lead} actions={
      <>
        <Badge tone={now === "live" ? "good" : now === "connecting" ? "info" : "warn"} icon={now === "live" ? "tail" : now === "paused" ? "pause" : "warn"}>{words.states[now]}</Badge>
        <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}><Icon name={paused ? "play" : "pause"} />{paused ? words.resume : words.pause}</button>
      </>
    }>
      <div class="filter-bar">
        <label class="check"><input type="checkbox" checked={failures} onChange={(e) => setQ({ failures: e.currentTarget.checked ? "true" : undefined }, { replace: true })} />{words.failures}</label>
        <span class="muted">{words.rate(rate < 10 ? rate.toFixed(1) : count(Math.round(rate)))}</span>
        {letGo.current > 0 && <span class="muted">{words.letGo(count(letGo.current))}</span>}
      </div>
      {held > 0 && <button type="button" class="newer" onClick={() => { setPaused(false); scrollTo({ top: 0 }); }}>{words.newer(held)}</button>}
      {error ? <Failure error={error} /> : shown.length === 0 ? <p class="muted">{words.waiting}</p> : <Rows rows={shown} />}
    </Page>
  );
}

function Rows({ rows }: { rows: Row[] }) {
  const c = words.columns;
  return (
    <div class="table-box" tabIndex={0} role="region" aria-label={words.title}>
      <table class="rows tail">
        <thead><tr><th scope="col">{c.at} <ZoneName /></th><th scope="col">{c.status}</th><th scope="col">{c.type}</th><th scope="col" class="from-600">{c.orderKey}</th><th scope="col" class="num from-600">{c.n}</th><th scope="col" class="num">{c.ms}</th></tr></thead>
        <tbody>
          {rows.map((r) => "gap" in r ? (
            <tr key={"gap" + r.gap[0]}><td colSpan={6}><Badge tone="warn" icon="warn">{words.gap(clock(r.gap[0]), clock(r.gap[1]))}</Badge> <a href={href("/deliveries", { from: String(r.gap[0]), to: String(r.gap[1]) })}>{words.fill}</a></td></tr>
          ) : (
            <tr key={`${r.delivery}/${r.run}/${r.n}`} data-row={r.delivery}>
              <td><a href={href("/deliveries/" + encodeURIComponent(r.delivery))}><Time at={r.at} form="ms" /></a></td>
              <td><Status status={r.status || undefined} error={r.error} />{r.state !== "delivered" && <> <State of={r.state} /></>}</td>
              <td><code>{r.type}</code></td>
              <td class="from-600">{r.orderKey && <code>{r.orderKey}</code>}</td>
              <td class="num from-600">{r.n}</td>
              <td class="num">{ms(r.ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
