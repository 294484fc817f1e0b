// The shell around all pages: rail, top bar, sign-in, and which page is shown.
import { QueryClient, QueryClientProvider } from "@tanstack/preact-query";
import { signal } from "@preact/signals";
import { type ComponentType, render } from "preact";
import { lazy, LocationProvider, Route, Router, useLocation } from "preact-iso";
import { useEffect, useState } from "preact/hooks";
import { en } from "./en";
import { lettersOn, listen, moveRow, onKey, switchLetters } from "./keys";
import { type PageInfo, pages } from "./pages";
import { Dialog, Failure, Icon, Page, Toast } from "./parts";
import { Search, searchOpen } from "./search";
import { ended, keyAsked, readSession, session, signInByCode, signOut } from "./session";
import { SignIn, SignInForm } from "./signin";
import { base, href } from "./url";
import { chooseZone, zone, zoneChoice, zoneChoices } from "./zone";

const queries = new QueryClient({ defaultOptions: { queries: { retry: false, staleTime: 5000 } } });

/** load reads the script and the style sheet of a page. */
async function load(p: PageInfo): Promise<ComponentType> {
  const script = `${base}/pages/${p.file}.js`;
  const [module] = await Promise.all([import(script), p.css ? style(p.file) : undefined]);
  return (module as { default: ComponentType }).default;
}

/** style adds the style sheet of a page and waits until it holds. */
function style(file: string): Promise<void> {
  const url = `${base}/pages/${file}.css`;
  if (document.querySelector(`link[href="${url}"]`)) return Promise.resolve();
  return new Promise((resolve) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = url;
    link.onload = link.onerror = () => resolve();
    document.head.append(link);
  });
}

const routes = pages.map((p) => ({ ...p, view: lazy(() => load(p)) }));

const helpOpen = signal(false);
const online = signal(navigator.onLine);
const startError = signal<unknown>(null);

/** start shows the console in an element. */
export function start(root: HTMLElement) {
  listen(document);
  addEventListener("online", () => (online.value = true));
  addEventListener("offline", () => (online.value = false));
  render(<App />, root);
  void begin();
}

/** begin finds out who is signed in. A code in the fragment signs in, and is gone before anything is asked. */
async function begin() {
  startError.value = null;
  const code = /^#([A-Za-z0-9_-]{43})$/.exec(location.hash)?.[1];
  if (code) {
    history.replaceState(history.state, "", location.pathname + location.search);
    try {
      return await signInByCode(code);
    } catch (e) {
      codeError.value = e;
    }
  }
  try {
    await readSession();
  } catch (e) {
    startError.value = e;
  }
}

/** codeError is why the code of a link did not sign in. */
export const codeError = signal<unknown>(null);

function App() {
  if (startError.value) {
    return <main class="alone"><Failure error={startError.value} again={() => void begin()} /></main>;
  }
  if (session.value === undefined) return <div class="alone" aria-busy="true" />;
  return (
    <QueryClientProvider client={queries}>
      <LocationProvider scope={base}>
        {session.value === null ? <SignIn error={codeError.value} /> : <Shell />}
      </LocationProvider>
      <Toast />
    </QueryClientProvider>
  );
}

function Shell() {
  const { path, route } = useLocation();
  const role = session.value!.role;
  const mine = routes.filter((r) => r.roles.includes(role));
  useKeys(mine, route);
  useEffect(() => {
    if (path === base + "/sign-in") route(base + (new URLSearchParams(location.search).get("return") ?? home(mine)), true);
    else if (path === base || path === base + "/") if (!mine.some((r) => r.path === "/")) route(href(home(mine)), true);
  }, [path]);

  return (
    <div class="shell">
      <a class="skip" href="#content" onClick={(e) => { e.preventDefault(); document.querySelector<HTMLElement>("main")?.focus(); }}>{en.skip}</a>
      <TopBar />
      <Rail pages={mine} path={path} />
      <main id="content" tabIndex={-1}>
        <Router onRouteChange={() => document.querySelector("main")?.removeAttribute("data-moved")}>
          {[...mine.map((r) => <Route key={r.path} path={base + (r.path === "/" ? "/" : r.path)} component={r.view} />),
            <Route key="none" default component={NotFound} />]}
        </Router>
      </main>
      {searchOpen.value && <Search pages={mine} />}
      {helpOpen.value && <KeyHelp />}
      {ended.value && <Dialog title={en.signIn.endedTitle} onClose={() => (session.value = null)}><p>{en.signIn.ended}</p><SignInForm done={() => void queries.invalidateQueries()} /></Dialog>}
      {keyAsked.value && <Dialog title={en.signIn.stepTitle} onClose={() => keyAsked.value?.(false)}><p>{en.signIn.step}</p><SignInForm done={() => keyAsked.value?.(true)} /></Dialog>}
    </div>
  );
}

/** home is the first page of a role. */
function home(mine: PageInfo[]): string {
  return mine.find((p) => p.nav)?.path ?? "/";
}

function NotFound() {
  return <Page title={en.notFound.title}><p>{en.notFound.text}</p><p><a href={base + "/"}>{en.notFound.back}</a></p></Page>;
}

/** useKeys gives the keys of the frame their meaning. */
function useKeys(mine: PageInfo[], route: (url: string) => void) {
  useEffect(() => {
    const row = () => document.activeElement?.closest("[data-row]")?.querySelector<HTMLAnchorElement>("a[href]");
    const off = [
      onKey("/", () => (searchOpen.value = true)),
      onKey("Ctrl+k", () => (searchOpen.value = true)),
      onKey("?", () => (helpOpen.value = true)),
      onKey("t", () => chooseZone(zoneChoices[(zoneChoices.indexOf(zoneChoice.value) + 1) % zoneChoices.length]!)),
      onKey("j", () => moveRow(1)),
      onKey("k", () => moveRow(-1)),
      onKey("o", () => { const a = row(); if (a) window.open(a.href); }),
      onKey("f", () => document.querySelector<HTMLElement>("[data-filters] summary, [data-filters] input, [data-filters] button")?.focus()),
      ...mine.filter((p) => p.nav?.key).map((p) => onKey("g " + p.nav!.key, () => route(href(p.path)))),
    ];
    return () => off.forEach((f) => f());
  }, [session.value?.role]);
}

function Rail({ pages, path }: { pages: PageInfo[]; path: string }) {
  const [sheet, setSheet] = useState(false);
  useEffect(() => setSheet(false), [path]);
  const inRail = pages.filter((p) => p.nav);
  const current = (p: PageInfo) => path === base + p.path || (p.path !== "/" && path.startsWith(base + p.path + "/"));
  const links = (of: PageInfo[]) => of.map((p) => (
    <li key={p.path}><a href={href(p.path)} aria-current={current(p) ? "page" : undefined}><Icon name={p.nav!.icon} /><span>{en.nav[p.nav!.label]}</span></a></li>
  ));
  const groups = (["deliver", "centre", "account", "platform"] as const)
    .map((g) => [g, inRail.filter((p) => p.nav!.group === g)] as const).filter(([, of]) => of.length > 0);
  const all = groups.map(([g, of]) => <section key={g}><h2>{en.nav.groups[g]}</h2><ul>{links(of)}</ul></section>);
  return (
    <>
      <nav class="rail" aria-label={en.nav.label}>{all}</nav>
      <nav class="bottom" aria-label={en.nav.label}>
        <ul>
          {links(inRail.slice(0, 4))}
          <li><button type="button" aria-haspopup="dialog" onClick={() => setSheet(true)}><Icon name="more" /><span>{en.nav.more}</span></button></li>
        </ul>
      </nav>
      {sheet && <Dialog title={en.nav.label} onClose={() => setSheet(false)}><div class="sheet"><Choices />{all}</div></Dialog>}
    </>
  );
}

function TopBar() {
  const s = session.value!;
  return (
    <header class="top">
      <a class="brand" href={href("/")}><Mark /><span class="tenant">{s.role === "platform" ? en.top.platform : s.tenant || s.companyId}</span></a>
      <button type="button" class="search-button" onClick={() => (searchOpen.value = true)}>
        <Icon name="search" /><span>{en.search.placeholder}</span><kbd>/</kbd>
      </button>
      {!online.value && <span class="badge warn" role="status"><Icon name="warn" />{en.top.offline}</span>}
      <Choices />
    </header>
  );
}

/** Choices are zone, theme, and who is signed in. */
function Choices() {
  const s = session.value!;
  return (
    <div class="choices">
      <label><span class="label">{en.top.zone}</span>
        <select value={zoneChoice.value} title={zone.value} onChange={(e) => chooseZone(e.currentTarget.value as typeof zoneChoice.value)}>
          {zoneChoices.map((z) => <option key={z} value={z}>{en.top.zones[z]}</option>)}
        </select>
      </label>
      <Theme />
      <span class="who" title={s.key}><Icon name="keys" /><span class="who-name">{en.top.keyName(s.key)}</span> <span class="role">{en.roles[s.role]}</span>{s.pii && s.role !== "owner" && <span class="role">{en.top.pii}</span>}</span>
      <button type="button" class="quiet" onClick={() => void signOut()} title={en.top.signOut}><Icon name="out" /><span>{en.top.signOut}</span></button>
    </div>
  );
}

const themes = ["system", "light", "dark"] as const;
const theme = signal<(typeof themes)[number]>((document.documentElement.dataset.theme as "light" | "dark" | undefined) ?? "system");

function Theme() {
  const choose = (name: (typeof themes)[number]) => {
    theme.value = name;
    if (name === "system") {
      delete document.documentElement.dataset.theme;
      localStorage.removeItem("hookline.theme");
    } else {
      document.documentElement.dataset.theme = name;
      localStorage.setItem("hookline.theme", name);
    }
  };
  return (
    <label><span class="label">{en.top.theme}</span>
      <select value={theme.value} onChange={(e) => choose(e.currentTarget.value as (typeof themes)[number])}>
        {themes.map((n) => <option key={n} value={n}>{en.top.themes[n]}</option>)}
      </select>
    </label>
  );
}

/** Mark is the sign of the product. */
export function Mark() {
  return <svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" /><path d="M10 7v18M10 16h7a5 5 0 0 1 5 5v4" /></svg>;
}

function KeyHelp() {
  return (
    <Dialog title={en.help.title} onClose={() => (helpOpen.value = false)}>
      <label class="check"><input type="checkbox" checked={lettersOn.value} onChange={(e) => switchLetters(e.currentTarget.checked)} />{en.help.letters}</label>
      <dl class="key-list">{en.help.list.map(([k, v]) => <div key={k}><dt>{k!.split(" ").map((x) => <kbd key={x}>{x}</kbd>)}</dt><dd>{v}</dd></div>)}</dl>
    </Dialog>
  );
}

