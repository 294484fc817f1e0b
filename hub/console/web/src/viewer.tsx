// Shows a body as it was sent. Nothing that a sender or a receiver wrote is ever read as HTML:
// all of it is text.
import { useMemo, useState } from "preact/hooks";
import { en } from "./en";
import { bytes as size } from "./format";
import { Bad, hex, type Line, lines, read } from "./json";
import { Copy, Icon, Tabs } from "./parts";

type View = "pretty" | "raw" | "hex";

const mostLines = 1500;

/** decode returns the bytes of base64. */
export function decode(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

/** Viewer shows a body. text is what it says; raw are its bytes, if it is no text. */
export function Viewer({ text, raw, note, name, cut }: {
  text?: string; raw?: Uint8Array; note?: string; name: string; cut?: { shown: number; of?: number };
}) {
  const body = text ?? "";
  const octets = useMemo(() => raw ?? new TextEncoder().encode(body), [raw, body]);
  const parsed = useMemo(() => {
    if (raw || body === "") return { bad: raw ? undefined : 0 };
    try {
      return { root: read(body) };
    } catch (e) {
      return { bad: new TextEncoder().encode(body.slice(0, e instanceof Bad ? e.at : 0)).length };
    }
  }, [body, raw]);
  const [chosen, choose] = useState<View>();
  const [wrap, setWrap] = useState(true);
  const [find, setFind] = useState("");
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [line, setLine] = useState<Line>();

  if (octets.length === 0) return <p class="muted">{note || en.viewer.empty}</p>;
  const view = chosen ?? (raw ? "hex" : parsed.root ? "pretty" : "raw");
  const looksJSON = /^\s*[[{]/.test(body);
  const fold = (path: string) => {
    const next = new Set(folded);
    if (!next.delete(path)) next.add(path);
    setFolded(next);
  };
  const found = find ? body.split(find).length - 1 : 0;

  return (
    <div class="viewer">
      <div class="viewer-bar">
        <Tabs label={name} value={view} onChange={choose}
          tabs={([["pretty", en.viewer.views.pretty], ["raw", en.viewer.views.raw], ["hex", en.viewer.views.hex]] as [View, string][])
            .filter(([v]) => (v !== "pretty" || parsed.root) && (v !== "raw" || !raw))} />
        <label class="check"><input type="checkbox" checked={wrap} onChange={(e) => setWrap(e.currentTarget.checked)} />{en.viewer.wrap}</label>
        {!raw && <input type="search" class="find" value={find} placeholder={en.viewer.find} aria-label={en.viewer.find} onInput={(e) => setFind(e.currentTarget.value)} />}
        {find && <span class="muted" role="status">{en.viewer.found(found)}</span>}
        <span class="spring" />
        <span class="muted">{size(octets.length)}</span>
        <Copy text={body} what={name} />
        <Download bytes={octets} name={name} />
      </div>
      {note && <p class="viewer-note"><Icon name="info" />{note}</p>}
      {cut && <p class="viewer-note"><Icon name="info" />{en.viewer.cut(size(cut.shown), cut.of === undefined ? "?" : size(cut.of))}</p>}
      {view === "raw" && looksJSON && parsed.bad !== undefined && <p class="viewer-note"><Icon name="warn" />{en.viewer.invalid(parsed.bad)}</p>}
      <div class={wrap ? "code wrap" : "code"} tabIndex={0} role="region" aria-label={name}>
        {view === "hex" ? hex(octets.subarray(0, 65_536))
          : view === "raw" || !parsed.root ? <Marked text={body} find={find} />
            : lines(body, parsed.root, folded).slice(0, mostLines).map((l, i) => (
              <Row key={i} line={l} find={find} selected={line?.path === l.path && line.kind === l.kind} fold={() => fold(l.path)} select={() => setLine(l)}
                folded={folded.has(l.path)} />
            ))}
      </div>
      {view === "pretty" && line && (
        <div class="viewer-path">
          <span class="muted">{en.viewer.path}</span> <code>{line.path || "/"}</code>
          <Copy text={line.path} what={en.viewer.path} />
          <Copy text={body.slice(line.node.start, line.node.end)} what={line.path} />
        </div>
      )}
    </div>
  );
}

/** Row is one line of a value that is laid out. */
function Row({ line, find, selected, fold, folded, select }: {
  line: Line; find: string; selected: boolean; fold: () => void; folded: boolean; select: () => void;
}) {
  return (
    <div class={"line d" + Math.min(line.depth, 12) + (selected ? " selected" : "")} onClick={select} onMouseEnter={select}>
      {line.folds !== undefined && (
        <button type="button" class="fold" aria-expanded={!folded} aria-label={(folded ? en.viewer.unfold : en.viewer.fold) + " " + (line.path || "/")} onClick={fold}>
          <Icon name={folded ? "right" : "down"} />
        </button>
      )}
      {line.key !== undefined && <><span class="key"><Marked text={line.key} find={find} /></span>{": "}</>}
      <span class={line.kind}><Marked text={line.text} find={find} /></span>
      {line.comma && ","}
      {folded && <span class="muted"> {en.viewer.items(line.folds ?? 0)}</span>}
    </div>
  );
}

/** Marked shows a text with what was found in it marked. */
function Marked({ text, find }: { text: string; find: string }) {
  if (!find || !text.includes(find)) return <>{text}</>;
  const parts = text.split(find);
  return <>{parts.map((p, i) => <>{i > 0 && <mark>{find}</mark>}{p}</>)}</>;
}

/** Download saves bytes as a file. Its kind is never one that a browser would open. */
function Download({ bytes, name }: { bytes: Uint8Array; name: string }) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type: "application/octet-stream" }));
    const a = document.createElement("a");
    a.href = url;
    a.download = name.replace(/[^A-Za-z0-9.-]+/g, "-") + ".bin";
    a.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  return <button type="button" class="quiet" aria-label={en.viewer.download} title={en.viewer.download} onClick={save}><Icon name="download" /></button>;
}
