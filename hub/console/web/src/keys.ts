// Keys of the keyboard. Single letters can be turned off, and never act while somebody types.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

const stored = "hookline.keys";

/** lettersOn is whether single letters act (WCAG 2.1.4 wants a switch). */
export const lettersOn = signal(localStorage.getItem(stored) !== "off");

export function switchLetters(on: boolean) {
  lettersOn.value = on;
  localStorage.setItem(stored, on ? "on" : "off");
}

type Action = (e: KeyboardEvent) => void;
const actions = new Map<string, Action[]>();

/** onKey makes a key act until the returned function is called. The latest action wins. */
export function onKey(key: string, act: Action): () => void {
  const list = actions.get(key) ?? [];
  actions.set(key, list);
  list.push(act);
  return () => void list.splice(list.indexOf(act), 1);
}

/** useKey makes a key act while a component is shown. */
export function useKey(key: string, act: Action, on = true) {
  useEffect(() => (on ? onKey(key, act) : undefined));
}

/** typing reports whether a key goes into a field. */
function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

let prefix = "";
let prefixAt = 0;

/** listen acts on the keys of a document. "g d" is g and then d within a second. */
export function listen(d: Document) {
  d.addEventListener("keydown", (e) => {
    if (e.altKey || e.isComposing) return;
    let key = e.key;
    if (e.ctrlKey || e.metaKey) {
      if (key !== "k") return;
      key = "Ctrl+k";
    } else if (key.length === 1 && (!lettersOn.value || typing(e.target) || d.querySelector("dialog[open]"))) {
      return;
    }

    if (prefix && e.timeStamp - prefixAt < 1000) key = prefix + " " + key;
    prefix = "";
    if (e.key === "g" && key === "g") {
      prefix = "g";
      prefixAt = e.timeStamp;
      return;
    }
    const act = actions.get(key)?.at(-1);
    if (act) {
      e.preventDefault();
      act(e);
    }
  });
}

/** moveRow moves the focus to the next or the previous row of the list. */
export function moveRow(step: number) {
  const rows = [...document.querySelectorAll<HTMLElement>("main [data-row] a")];
  const at = rows.findIndex((r) => r === document.activeElement || r.closest("[data-row]")?.contains(document.activeElement));
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
