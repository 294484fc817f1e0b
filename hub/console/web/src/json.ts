// A reader of JSON that keeps the text as it was sent: numbers, the order of keys, keys that come
// twice. JSON.parse would lose all of these.

export interface Node {
  kind: "object" | "array" | "string" | "number" | "word";
  /** start and end are where the value stands in the text. */
  start: number;
  end: number;
  /** members are those of an object or array; key is the key as it was written, with its quotes. */
  members?: { key?: string; value: Node }[];
}

/** Bad is thrown where a text is not JSON. */
export class Bad extends Error {
  constructor(readonly at: number) {
    super("not JSON at " + at);
  }
}

const deepest = 256;
const space = /[ \t\n\r]*/y;
const text = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const word = /true|false|null/y;

/** read returns the value that a text is. It throws Bad. */
export function read(s: string): Node {
  let at = 0;
  const match = (re: RegExp): string | undefined => {
    re.lastIndex = at;
    const found = re.exec(s)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const expect = (c: string) => {
    match(space);
    if (s[at] !== c) throw new Bad(at);
    at++;
  };

  const value = (depth: number): Node => {
    match(space);
    const start = at;
    const c = s[at];
    if (depth > deepest || c === undefined) throw new Bad(at);
    if (c === "{" || c === "[") return many(start, c, depth);
    const kind = c === '"' ? "string" : c === "-" || (c >= "0" && c <= "9") ? "number" : "word";
    if (!match(kind === "string" ? text : kind === "number" ? number : word)) throw new Bad(at);
    return { kind, start, end: at };
  };

  const many = (start: number, open: "{" | "[", depth: number): Node => {
    const close = open === "{" ? "}" : "]";
    const members: Node["members"] = [];
    at++;
    match(space);
    if (s[at] === close) {
      at++;
      return { kind: open === "{" ? "object" : "array", start, end: at, members };
    }
    for (;;) {
      let key: string | undefined;
      if (open === "{") {
        match(space);
        key = match(text);
        if (key === undefined) throw new Bad(at);
        expect(":");
      }
      members.push({ key, value: value(depth + 1) });
      match(space);
      if (s[at] === ",") {
        at++;
        continue;
      }
      expect(close);
      return { kind: open === "{" ? "object" : "array", start, end: at, members };
    }
  };

  const root = value(0);
  match(space);
  if (at < s.length) throw new Bad(at);
  return root;
}

export interface Line {
  depth: number;
  path: string;
  key?: string;
  /** text is a value, or the bracket that opens or closes one. */
  text: string;
  kind: Node["kind"] | "close";
  /** folds is how many members fold away with this line. */
  folds?: number;
  comma: boolean;
  node: Node;
}

/** lines lays a value out, a member on each line. Paths that are folded show one line only. */
export function lines(s: string, root: Node, folded: ReadonlySet<string>): Line[] {
  const out: Line[] = [];
  const walk = (node: Node, depth: number, path: string, key: string | undefined, comma: boolean) => {
    const raw = s.slice(node.start, node.end);
    if (!node.members || node.members.length === 0) {
      out.push({ depth, path, key, text: node.members ? raw.replace(/\s+/g, "") : raw, kind: node.kind, comma, node });
      return;
    }
    const [open, close] = node.kind === "object" ? "{}" : "[]";
    if (folded.has(path)) {
      out.push({ depth, path, key, text: open + "…" + close, kind: node.kind, folds: node.members.length, comma, node });
      return;
    }
    out.push({ depth, path, key, text: open!, kind: node.kind, folds: node.members.length, comma: false, node });
    node.members.forEach((m, i) => {
      const name = m.key === undefined ? String(i) : m.key.slice(1, -1);
      walk(m.value, depth + 1, path + "/" + name.replaceAll("~", "~0").replaceAll("/", "~1"), m.key, i < node.members!.length - 1);
    });
    out.push({ depth, path, text: close!, kind: "close", comma, node });
  };
  walk(root, 0, "", undefined, false);
  return out;
}

/** hex returns bytes as rows of 16, with their offset and what of them is ASCII. */
export function hex(b: Uint8Array): string {
  const rows: string[] = [];
  for (let i = 0; i < b.length; i += 16) {
    const part = [...b.subarray(i, i + 16)];
    const digits = part.map((n) => n.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    const ascii = part.map((n) => (n >= 32 && n < 127 ? String.fromCharCode(n) : ".")).join("");
    rows.push(i.toString(16).padStart(6, "0") + "  " + digits + "  " + ascii);
  }
  return rows.join("\n");
}
