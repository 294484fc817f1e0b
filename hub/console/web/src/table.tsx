// Tables of rows of one height. Only the rows in sight are in the document, so that a list of
// thousands stays quick.
import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Column<T> {
  key: string;
  head: ComponentChildren;
  cell: (row: T) => ComponentChildren;
  /** num is true for figures, which stand at the right. */
  num?: boolean;
  /** wide columns take what is left over. */
  wide?: boolean;
  /** from is the least width of the window, in px, at which the column is shown. */
  from?: 600 | 900 | 1200 | 1500;
}

interface Props<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  /** link is the URL of a row; its first cell holds the link. */
  link?: (row: T) => string;
  /** selected is the id of the row that is open beside the table. */
  selected?: string;
  /** onEnd is called when the last rows come into sight. */
  onEnd?: () => void;
}

const rowHeight = 37; // px, as in parts.css
const spare = 12; // rows above and below what can be seen

export function Table<T>({ label, columns, rows, id, link, selected, onEnd }: Props<T>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const { route } = useLocation();
  const [from, to] = useWindow(body, rows.length);

  useEffect(() => {
    if (to >= rows.length - spare && rows.length > 0) onEnd?.();
  }, [to, rows.length]);

  const classOf = (c: Column<T>) => [c.num && "num", c.wide && "wide", c.from && "from-" + c.from].filter(Boolean).join(" ");
  const open = (e: MouseEvent, row: T) => {
    const inner = (e.target as Element).closest("a, button, input, label, summary");
    if (!link || inner || getSelection()?.toString()) return;
    if (e.ctrlKey || e.metaKey) window.open(link(row));
    else route(link(row));
  };

  return (
    <div class="table-box" tabIndex={0} role="region" aria-label={label}>
      <table class={link ? "rows linked" : "rows"} aria-rowcount={rows.length + 1}>
        <thead>
          <tr>{columns.map((c) => <th key={c.key} scope="col" class={classOf(c)}>{c.head}</th>)}</tr>
        </thead>
        <tbody ref={body}>
          <Spacer rows={from} />
          {rows.slice(from, to).map((row, i) => (
            <tr key={id(row)} data-row={id(row)} aria-rowindex={from + i + 2} class={selected === id(row) ? "selected" : undefined}
              onClick={(e) => open(e, row)}>
              {columns.map((c, n) => (
                <td key={c.key} class={classOf(c)}>
                  {n === 0 && link ? <a href={link(row)}>{c.cell(row)}</a> : c.cell(row)}
                </td>
              ))}
            </tr>
          ))}
          <Spacer rows={rows.length - to} />
        </tbody>
      </table>
    </div>
  );
}

/** Spacer stands for rows that are out of sight. */
function Spacer({ rows }: { rows: number }) {
  const cell = useRef<HTMLTableCellElement>(null);
  useLayoutEffect(() => {
    if (cell.current) cell.current.style.height = rows * rowHeight + "px";
  });
  return rows > 0 ? <tr aria-hidden="true" class="spacer"><td ref={cell} /></tr> : null;
}

/** useWindow returns which rows can be seen, with some spare ones around them. */
function useWindow(body: { current: HTMLElement | null }, rows: number): [number, number] {
  const [from, setFrom] = useState(0);
  const seen = Math.ceil(innerHeight / rowHeight) + 2 * spare;
  useEffect(() => {
    const look = () => {
      if (!body.current) return;
      const above = -body.current.getBoundingClientRect().top / rowHeight - spare;
      // Steps of some rows, so that not every pixel draws anew.
      setFrom(Math.max(0, Math.floor(above / 6) * 6));
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [rows]);
  const first = Math.min(from, Math.max(0, rows - 1));
  return rows <= seen ? [0, rows] : [first, Math.min(rows, first + seen)];
}
