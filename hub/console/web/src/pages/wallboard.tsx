import "./wallboard.css";
import { useEffect, useMemo, useState } from "preact/hooks";
import { useQuery } from "@tanstack/preact-query";
import {
  ask, Badge, client, clock, Copy, count, Dialog, Empty, en, ended, Failure, Field, Icon, type IconName, Loading, Notice, Page,
  type Params, percent, Problem, problemOf, readSession, type Schema, Tabs, type Tone, useParams, zone,
} from "../frame";
import { words } from "./wallboard.en";

type Agent = Schema["AgentNow"];
type Queue = Schema["QueueNow"];
type Change<T> = Omit<Schema["BoardChange"], "changed"> & { changed?: T[] };

/** Board is a board as its stream has told it. */
interface Board<T, S> {
  rows: T[];
  total: number;
  summary: S;
  behind: number;
  /** ahead is what must be added to performance.now() to have the time of the server. */
  ahead: number;
}
type AgentBoard = Board<Agent, Schema["AgentBoard"]["summary"]>;
type QueueBoard = Board<Queue, Schema["QueueBoard"]["summary"]>;

const amber = 20_000; // ms without a message after which a board says that it is stale
const grey = 60_000; // ms after which it is shown as old
const mostTiles = 40; // agents that are shown as tiles; more are squares

/** Stream follows a board, and comes back when it is cut or silent. */
class Stream<T extends { id: string }, S> {
  private stop = new AbortController();
  private board: Board<T, S> | null = null;

  constructor(private url: string, private on: { board: (b: Board<T, S>) => void; link: (s: string) => void; error: (e: unknown) => void }) {
    void this.run();
  }

  close() {
    this.stop.abort();
  }

  private async run() {
    let wait = 500;
    while (!this.stop.signal.aborted) {
      const began = performance.now();
      try {
        if (await this.follow()) return;
      } catch {
        // The connection is gone: what the board shows grows old, and says so.
      }
      if (this.stop.signal.aborted) return;

      this.on.link("lost");
      if (performance.now() - began > 5000) wait = 500;
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(wait * 2, 4000);
    }
  }

  /** follow reads until the stream ends; true if there is no use in coming back. */
  private async follow(): Promise<boolean> {
    const cut = new AbortController();
    const end = () => cut.abort();
    this.stop.signal.addEventListener("abort", end);
    let silence = setTimeout(end, amber);
    try {
      const r = await fetch(this.url, { signal: cut.signal, headers: { Accept: "text/event-stream" } });
      if (!r.ok || !r.body) return await this.refused(r);

      const reader = r.body.pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array<ArrayBuffer>>).getReader();
      for (let text = ""; ;) {
        const { done, value } = await reader.read();
        if (done) return false;
        clearTimeout(silence);
        silence = setTimeout(end, amber);
        text += value;
        for (let at = text.indexOf("\n\n"); at >= 0; at = text.indexOf("\n\n")) {
          if (this.take(text.slice(0, at))) return true;
          text = text.slice(at + 2);
        }
      }
    } finally {
      clearTimeout(silence);
      this.stop.signal.removeEventListener("abort", end);
    }
  }

  private async refused(r: Response): Promise<boolean> {
    if (r.status >= 500 || r.status === 429) return false;
    if (r.status === 401) void readSession();
    this.on.error(await problemOf(r, await r.json().catch(() => undefined)));
    return true;
  }

  /** take takes a message; true if it is the last one. */
  private take(block: string): boolean {
    const line = (name: string) => block.split("\n").find((l) => l.startsWith(name + ": "))?.slice(name.length + 2);
    const name = line("event");
    if (name === "ended") {
      void readSession();
      this.on.error(new Problem(401, "", ""));
      return true;
    }
    if (name !== "board" && name !== "change" && name !== "ping") return false; // a comment

    const m = JSON.parse(line("data")!) as { now: string; behind: number } & Change<T> & { summary: S; data: T[] };
    const ahead = Date.parse(m.now) - performance.now();
    if (name === "board") this.board = { rows: m.data, total: m.total, summary: m.summary, behind: m.behind, ahead };
    else if (this.board) this.board = { ...(name === "change" ? merged(this.board, m) : this.board), behind: m.behind, ahead };
    if (this.board) this.on.board(this.board);
    this.on.link("live");
    return false;
  }
}

/** merged returns a board with a change in it. */
function merged<T extends { id: string }, S>(board: Board<T, S>, m: Change<T> & { summary: S }): Board<T, S> {
  const rows = new Map(board.rows.map((r) => [r.id, r]));
  for (const id of m.removed ?? []) rows.delete(id);
  for (const r of m.changed ?? []) rows.set(r.id, r);
  const all = m.order ? m.order.flatMap((id) => rows.get(id) ?? []) : [...rows.values()];
  return { ...board, rows: all, total: m.total, summary: m.summary ?? board.summary };
}

interface Live<B> { board: B | null; link: string; error: unknown; heard: number }

/** useBoard follows a board while the page is open. */
function useBoard<T extends { id: string }, S>(kind: "agents" | "queues", query: Params, on: boolean): Live<Board<T, S>> {
  const [live, setLive] = useState<Live<Board<T, S>>>({ board: null, link: "connecting", error: null, heard: performance.now() });
  const url = `/v1/boards/${kind}?` + new URLSearchParams(Object.entries(query).filter((e): e is [string, string] => !!e[1])).toString();
  const out = ended.value; // who signs in again has a new stream
  useEffect(() => {
    if (!on || out) return;
    setLive({ board: null, link: "connecting", error: null, heard: performance.now() });
    const s = new Stream<T, S>(url, {
      board: (board) => setLive((was) => ({ ...was, board, error: null, heard: performance.now() })),
      link: (link) => setLive((was) => (was.link === link ? was : { ...was, link })),
      error: (error) => setLive((was) => ({ ...was, error })),
    });
    return () => s.close();
  }, [url, on, out]);
  return live;
}

/** useTick draws again every second. */
function useTick() {
  const [, set] = useState(0);
  useEffect(() => {
    const id = setInterval(() => set((n) => n + 1), 1000);
    return () => clearInterval(id);
  }, []);
}

type Level = "ok" | "watch" | "alarm";
type Limit = "wait" | "waiting" | "call" | "afterWork" | "away";
const limitNames: Limit[] = ["wait", "waiting", "call", "afterWork", "away"];
const ofQueues: Limit[] = ["wait", "waiting"];
const usual: Record<string, [number, number]> = {
  wait: [30, 60], waiting: [5, 10], call: [900, 1800], afterWork: [120, 300], away: [1800, 3600],
};

/** limitsOf reads thresholds as the URL has them: name, or name and queue, and two numbers. */
function limitsOf(text: string | undefined): Record<string, [number, number]> {
  if (text === undefined) return usual;
  const limits: Record<string, [number, number]> = {};
  for (const part of text.split(",")) {
    const [name, watch, alarm] = part.split("~");
    if (name) limits[decodeURIComponent(name)] = [Number(watch) || Infinity, Number(alarm) || Infinity];
  }
  return limits;
}

function limitsText(limits: Record<string, [number, number]>): string {
  const text = (n: number) => (Number.isFinite(n) ? String(n) : "");
  const all = Object.entries(limits).map(([name, [watch, alarm]]) => `${encodeURIComponent(name)}~${text(watch)}~${text(alarm)}`);
  return all.join(",") || "none";
}

function levelOf(value: number, limit: [number, number] | undefined): Level {
  if (!limit) return "ok";
  return value >= limit[1] ? "alarm" : value >= limit[0] ? "watch" : "ok";
}

function worst(...all: Level[]): Level {
  return all.includes("alarm") ? "alarm" : all.includes("watch") ? "watch" : "ok";
}

const levelLooks: Record<Level, [Tone, IconName]> = { ok: ["good", "check"], watch: ["warn", "warn"], alarm: ["bad", "bolt"] };

function LevelBadge({ level }: { level: Level }) {
  return <Badge tone={levelLooks[level][0]} icon={levelLooks[level][1]}>{words.levels[level]}</Badge>;
}

/** ticking returns a length of time as a clock shows it, 4:07 or 1:02:33. */
function ticking(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

const viewNames = ["wall", "queues", "agents"] as const;
type View = (typeof viewNames)[number];

export default function Wallboard() {
  const [q, setQ] = useParams();
  useTick();
  const view = viewNames.find((v) => v === q.view) ?? "wall";
  const queues = useBoard<Queue, QueueBoard["summary"]>("queues", { queue: q.queue, inTime: q.inTime }, view !== "agents") as Live<QueueBoard>;
  const agents = useBoard<Agent, AgentBoard["summary"]>("agents", { queue: q.queue }, view !== "queues") as Live<AgentBoard>;
  const limits = useMemo(() => limitsOf(q.limits), [q.limits]);
  const [settings, setSettings] = useState(false);
  const full = q.full === "1";
  useFull(full, () => setQ({ full: undefined }, { replace: true }));
  useRotation(Number(q.rotate), view, (next) => setQ({ view: next }, { replace: true }));

  const shown = [...(view !== "agents" ? [queues] : []), ...(view !== "queues" ? [agents] : [])];
  const heard = Math.min(...shown.map((l) => l.heard));
  const silent = performance.now() - heard;
  const ahead = shown.find((l) => l.board)?.board?.ahead;
  const link = shown.find((l) => l.link !== "live")?.link ?? "live";
  const error = shown.find((l) => l.error)?.error;
  const enter = () => {
    void document.documentElement.requestFullscreen?.().catch(() => undefined);
    setQ({ full: "1" }, { replace: true });
  };
  const leave = () => {
    if (document.fullscreenElement) void document.exitFullscreen();
    setQ({ full: undefined }, { replace: true });
  };

  return (
    <Page title={words.title} lead={full ? undefined : words.lead(zone.value)} actions={
      <>
        <Badge tone={link === "live" ? "good" : link === "lost" ? "warn" : "info"} icon={link === "live" ? "check" : link === "lost" ? "warn" : "clock"}>{words.links[link]}</Badge>
        {ahead !== undefined && <span class="board-clock">{clock(ahead + performance.now())}</span>}
        {!full && <button type="button" onClick={() => setSettings(true)}><Icon name="settings" />{words.settings}</button>}
        <button type="button" onClick={full ? leave : enter}><Icon name="wallboard" />{full ? words.leave : words.full}</button>
      </>
    }>
      {!full && <Bar q={q} setQ={setQ} view={view} />}
      {ahead !== undefined && silent >= amber && <Stale at={clock(heard + ahead)} old={silent >= grey} />}
      {error ? <Failure error={error} /> : (
        <div class={silent >= grey && ahead !== undefined ? "board old" : "board"} data-stale={silent >= grey ? "old" : silent >= amber ? "stale" : undefined}>
          {view !== "agents" && (queues.board ? <Queues board={queues.board} limits={limits} /> : <Loading />)}
          {view !== "queues" && (agents.board ? <Agents board={agents.board} limits={limits} out={q.out === "1"} /> : <Loading />)}
        </div>
      )}
      {settings && <Settings q={q} setQ={setQ} limits={limits} queues={queues.board?.rows ?? []} onClose={() => setSettings(false)} />}
    </Page>
  );
}

/** Stale says since when there is no news. */
function Stale({ at, old }: { at: string; old: boolean }) {
  return <div class={old ? "stale-banner old" : "stale-banner"} role="alert"><Icon name="warn" />{old ? words.old(at) : words.asOf(at)}</div>;
}

/** useFull hides what stands around the page, and keeps the screen on. */
function useFull(full: boolean, left: () => void) {
  useEffect(() => {
    if (!full) return;
    document.documentElement.dataset.full = "1";
    let lock: { release: () => Promise<void> } | undefined;
    void navigator.wakeLock?.request("screen").then((l) => (lock = l)).catch(() => undefined);
    const changed = () => !document.fullscreenElement && left();
    document.addEventListener("fullscreenchange", changed);
    return () => {
      delete document.documentElement.dataset.full;
      document.removeEventListener("fullscreenchange", changed);
      void lock?.release().catch(() => undefined);
    };
  }, [full]);
}

/** useRotation shows the next board every so many seconds. */
function useRotation(seconds: number, view: View, go: (v: View) => void) {
  useEffect(() => {
    if (!(seconds >= 10 && seconds <= 120)) return;
    const next = viewNames[(viewNames.indexOf(view) + 1) % viewNames.length]!;
    const id = setTimeout(() => go(next), seconds * 1000);
    return () => clearTimeout(id);
  }, [seconds, view]);
}

/** Bar is where the board is chosen, and whom it shows. */
function Bar({ q, setQ, view }: { q: Params; setQ: (c: Params, how?: { replace?: boolean }) => void; view: View }) {
  const all = useQuery({
    queryKey: ["boards", "queues"], staleTime: 60_000,
    queryFn: async ({ signal }) => (await ask(client.GET("/v1/boards/queues", { params: { query: {} }, signal }))) as Schema["QueueBoard"],
  });
  return (
    <div class="board-bar">
      <Tabs label={words.viewsLabel} value={view} onChange={(v) => setQ({ view: v })} tabs={viewNames.map((v) => [v, words.views[v]])} />
      <label>{words.queue} <select value={q.queue ?? ""} onChange={(e) => setQ({ queue: e.currentTarget.value || undefined })}>
        <option value="">{words.allQueues}</option>
        {all.data?.data.map((r) => <option key={r.id} value={r.id}>{r.name || r.id}</option>)}
      </select></label>
      {view !== "queues" && <label class="check"><input type="checkbox" checked={q.out === "1"} onChange={(e) => setQ({ out: e.currentTarget.checked ? "1" : undefined })} />{words.showOut}</label>}
    </div>
  );
}

/** Figure is a number with its name. */
function Figure({ name, value, hint, level = "ok" }: { name: string; value: string; hint?: string; level?: Level }) {
  return (
    <div class={"figure " + level}>
      <dt>{name}</dt>
      <dd>{value}{level !== "ok" && <LevelBadge level={level} />}{hint && <small>{hint}</small>}</dd>
    </div>
  );
}

function share(part: number, of: number): string {
  return of > 0 ? percent(part / of, 0) : words.noShare;
}

function Queues({ board, limits }: { board: QueueBoard; limits: Record<string, [number, number]> }) {
  const s = board.summary;
  const now = board.ahead + performance.now();
  if (board.rows.length === 0) return <Empty title={words.noQueues}><p>{words.noQueuesText}</p></Empty>;
  const longest = s.waitingSince ? ticking(now - Date.parse(s.waitingSince)) : words.nobody;
  return (
    <section class="board-part" aria-label={words.queues}>
      <h2>{words.queues}</h2>
      <dl class="totals" aria-label={words.totals}>
        <Figure name={words.waiting} value={count(s.waiting)} />
        <Figure name={words.longest} value={longest} />
        <Figure name={words.inTime} value={share(s.today.inTime, s.today.answered)} hint={words.inTimeHint(s.inTimeSeconds)} />
        <Figure name={words.answered} value={count(s.today.answered)} />
        <Figure name={words.abandoned} value={count(s.today.abandoned)} />
      </dl>
      {board.behind > 0 && <Notice tone="info">{words.behind(count(board.behind))}</Notice>}
      <ul class="queue-tiles">{board.rows.map((r) => <QueueTile key={r.id} of={r} now={now} limits={limits} />)}</ul>
      {board.total > board.rows.length && <p class="muted">{words.cut(count(board.rows.length), count(board.total))}</p>}
    </section>
  );
}

function QueueTile({ of: r, now, limits }: { of: Queue; now: number; limits: Record<string, [number, number]> }) {
  const limit = (name: Limit) => limits[name + "/" + r.id] ?? limits[name];
  const wait = r.waitingSince ? now - Date.parse(r.waitingSince) : 0;
  const level = worst(levelOf(wait / 1000, limit("wait")), levelOf(r.waiting, limit("waiting")));
  const a = r.agents;
  return (
    <li class={"queue-tile " + level} data-queue={r.id}>
      <div class="tile-head"><h3>{r.name || r.id}</h3><LevelBadge level={level} /></div>
      <dl class="tile-main">
        <div><dt>{words.waiting}</dt><dd>{count(r.waiting)}</dd></div>
        <div><dt>{words.longest}</dt><dd>{r.waitingSince ? ticking(wait) : words.nobody}</dd></div>
      </dl>
      <dl class="tile-rest">
        {([[words.inTime, share(r.today.inTime, r.today.answered)], [words.lost, count(r.today.abandoned)], [words.ready, count(a.ready)],
          [words.onCall, count(a.onCall)], [words.afterWork, count(a.afterWork)], [words.away, count(a.away)]] as const).map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}
      </dl>
    </li>
  );
}

type AgentState = keyof typeof words.states;
const agentLooks: Record<AgentState, [Tone, IconName, Limit | undefined]> = {
  ready: ["good", "check", undefined],
  dialing: ["info", "right", "call"],
  ringing: ["info", "down", "call"],
  talking: ["info", "calls", "call"],
  holding: ["info", "pause", "call"],
  afterWork: ["info", "edit", "afterWork"],
  away: ["still", "hourglass", "away"],
  locked: ["still", "lock", "away"],
  out: ["still", "out", undefined],
};

/** stateOf reads the codes of an agent. */
function stateOf(a: Agent): AgentState {
  const working: Record<number, AgentState> = { 4: "afterWork", 5: "dialing", 6: "ringing", 7: "talking", 8: "holding" };
  const state = working[a.workStatus];
  if (a.loginStatus !== 1 && a.loginStatus !== 2 && a.loginStatus !== 98) return "out";
  if (state) return state;
  if (a.loginStatus === 98 || a.workStatus === 98) return "locked";
  return a.loginStatus === 1 && a.workStatus === 1 ? "ready" : "away";
}

/** sinceOf returns since when an agent is in a state, Unix ms, or 0. */
function sinceOf(a: Agent, state: AgentState): number {
  const at = (t: string | null) => (t ? Date.parse(t) : 0);
  switch (state) {
    case "ready": return Math.max(at(a.workSince), at(a.loginSince));
    case "away": case "locked": return Math.max(at(a.notReadySince), at(a.loginSince), at(a.workSince));
    case "out": return at(a.loginSince);
    default: return at(a.workSince);
  }
}

function Agents({ board, limits, out }: { board: AgentBoard; limits: Record<string, [number, number]>; out: boolean }) {
  const s = board.summary;
  const now = board.ahead + performance.now();
  const shown = board.rows.map((a) => ({ a, state: stateOf(a) })).filter((r) => out || r.state !== "out");
  const Tile = shown.length > mostTiles ? Square : AgentTile;
  return (
    <section class="board-part" aria-label={words.agents}>
      <h2>{words.agents}</h2>
      <dl class="totals" aria-label={words.totals}>
        <Figure name={words.loggedIn} value={count(s.loggedIn)} />
        <Figure name={words.ready} value={count(s.ready)} />
        <Figure name={words.onCall} value={count(s.onCall)} />
        <Figure name={words.afterWork} value={count(s.afterWork)} />
        <Figure name={words.onBreak} value={count(s.onBreak)} />
        <Figure name={words.loggedOut} value={count(s.loggedOut)} />
      </dl>
      {shown.length === 0 ? <NoAgents /> : (
        <ul class={shown.length > mostTiles ? "agent-squares" : "agent-tiles"}>
          {shown.map(({ a, state }) => {
            const since = sinceOf(a, state);
            const limit = agentLooks[state][2];
            const level = since && limit ? levelOf((now - since) / 1000, limits[limit]) : "ok";
            return <Tile key={a.id} of={a} state={state} level={level} time={since ? ticking(now - since) : ""} />;
          })}
        </ul>
      )}
      {shown.length > mostTiles && <Legend />}
      {board.total > board.rows.length && <p class="muted">{words.cut(count(board.rows.length), count(board.total))}</p>}
    </section>
  );
}

interface TileProps { of: Agent; state: AgentState; level: Level; time: string }

/** nameOf returns what an agent is called. */
function nameOf(a: Agent): string {
  return a.name || a.agentID || a.agentUUID || words.unnamed;
}

function AgentTile({ of: a, state, level, time }: TileProps) {
  const [tone, icon] = agentLooks[state];
  const more = [
    state === "away" && words.reasons[a.notReadyStatus], a.call && words.directions[a.call.callType], a.call?.customerNumber,
    a.chats > 0 && words.chats(a.chats),
  ].filter(Boolean).join(" · ");
  return (
    <li class={"agent-tile " + level} data-agent={a.id} data-state={state}>
      <div class="tile-head"><h3>{nameOf(a)}</h3>{level !== "ok" && <LevelBadge level={level} />}</div>
      <p class="agent-state"><Badge tone={tone} icon={icon}>{words.states[state]}</Badge><span class="agent-time">{time}</span></p>
      <p class="agent-more">{more}</p>
    </li>
  );
}

/** Square shows an agent where there are many: icons, name and time. The word is in the legend, and for readers of screens. */
function Square({ of: a, state, level, time }: TileProps) {
  const [tone, icon] = agentLooks[state];
  return (
    <li class={`square ${tone} ${level}`} data-agent={a.id} data-state={state} title={`${nameOf(a)} · ${words.states[state]} · ${time}`}>
      <span class="square-icons"><Icon name={icon} />{level !== "ok" && <Icon name={levelLooks[level][1]} />}</span>
      <span class="square-name">{nameOf(a)}</span>
      <span class="hidden">{words.states[state]} {level !== "ok" && words.levels[level]}</span>
      <span class="square-time">{time}</span>
    </li>
  );
}

function Legend() {
  return (
    <ul class="legend">
      {(Object.keys(agentLooks) as AgentState[]).map((s) => <li key={s}><Badge tone={agentLooks[s][0]} icon={agentLooks[s][1]}>{words.states[s]}</Badge></li>)}
      <li><LevelBadge level="watch" /></li>
      <li><LevelBadge level="alarm" /></li>
    </ul>
  );
}

function NoAgents() {
  const curl = `curl ${location.origin}/v1/events -H "Authorization: Bearer $HOOKLINE_KEY" -H "Content-Type: application/json" \\\n  -d '{"type": "agent.status", "data": {"agentID": "1001", "agentName": "Ann", "startTime": ${Date.now() - (Date.now() % 60_000)}, "loginStatus": 1, "workStatus": 1}}'`;
  return (
    <Empty title={words.noAgents}>
      <p>{words.noAgentsText}</p>
      <pre tabIndex={0}>{curl}</pre>
      <Copy text={curl} what="curl" label={en.copy} />
    </Empty>
  );
}

/** Settings is the dialog of thresholds. They go into the URL. */
function Settings({ q, setQ, limits, queues, onClose }: {
  q: Params; setQ: (c: Params) => void; limits: Record<string, [number, number]>; queues: Queue[]; onClose: () => void;
}) {
  const [whose, setWhose] = useState("");
  const [texts, setTexts] = useState<Record<string, [string, string]>>(() =>
    Object.fromEntries(Object.entries(limits).map(([k, v]) => [k, v.map((n) => (Number.isFinite(n) ? String(n) : "")) as [string, string]])));
  const [inTime, setInTime] = useState(q.inTime ?? "");
  const [rotate, setRotate] = useState(q.rotate ?? "");
  const keyOf = (name: Limit) => (whose ? name + "/" + whose : name);
  const wrong = (text: string) => (text === "" || (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 86_400) ? "" : words.dialog.number);
  const wrongOf = ([watch, alarm]: [string, string]) => wrong(watch) || wrong(alarm) || (watch && alarm && Number(alarm) < Number(watch) ? words.dialog.order : "");
  const bad = !!wrong(inTime) || Object.values(texts).some((t) => !!wrongOf(t));
  const save = () => {
    const chosen: Record<string, [number, number]> = {};
    for (const [name, [watch, alarm]] of Object.entries(texts)) if (watch || alarm) chosen[name] = [Number(watch) || Infinity, Number(alarm) || Infinity];
    setQ({ limits: limitsText(chosen), inTime: inTime || undefined, rotate: rotate || undefined });
    onClose();
  };
  return (
    <Dialog title={words.dialog.title} onClose={onClose}>
      <p class="muted">{words.dialog.text}</p>
      <form class="limits" onSubmit={(e) => { e.preventDefault(); if (!bad) save(); }}>
        <Field label={words.dialog.whose}>{(p) => (
          <select {...p} value={whose} onChange={(e) => setWhose(e.currentTarget.value)}>
            <option value="">{words.allQueues}</option>
            {queues.map((r) => <option key={r.id} value={r.id}>{r.name || r.id}</option>)}
          </select>
        )}</Field>
        {(whose ? ofQueues : limitNames).map((name) => {
          const now = texts[keyOf(name)] ?? ["", ""];
          const set = (i: number) => (e: { currentTarget: HTMLInputElement }) =>
            setTexts({ ...texts, [keyOf(name)]: now.map((t, n) => (n === i ? e.currentTarget.value.trim() : t)) as [string, string] });
          return (
            <div key={keyOf(name)} class="limit">
              <Field label={words.dialog.warn(words.dialog.names[name])} error={wrongOf(now)}>{(p) => <input {...p} inputMode="numeric" value={now[0]} onInput={set(0)} />}</Field>
              <Field label={words.dialog.alarm(words.dialog.names[name])}>{(p) => <input {...p} inputMode="numeric" value={now[1]} onInput={set(1)} />}</Field>
            </div>
          );
        })}
        <Field label={words.dialog.inTime} error={wrong(inTime)}>{(p) => <input {...p} inputMode="numeric" value={inTime} placeholder="20" onInput={(e) => setInTime(e.currentTarget.value.trim())} />}</Field>
        <Field label={words.dialog.rotate}>{(p) => (
          <select {...p} value={rotate} onChange={(e) => setRotate(e.currentTarget.value)}>{words.dialog.rotations.map(([v, text]) => <option key={v} value={v}>{text}</option>)}</select>
        )}</Field>
        <div class="dialog-actions">
          <button type="button" onClick={onClose}>{en.cancel}</button>
          <button type="submit" class="primary" disabled={bad}>{words.dialog.done}</button>
        </div>
      </form>
    </Dialog>
  );
}
