// Compares texts. It is loaded when somebody compares two attempts.
import { diffLines, diffWordsWithSpace } from "diff";
import { en } from "./frame";

const long = 20_000; // characters from which on whole lines are compared

/** Diff shows what was taken away and what was added, each with a sign and not by colour alone. */
export function Diff({ before, after, name }: { before: string; after: string; name: string }) {
  const parts = before.length + after.length > long || before.includes("\n") ? diffLines(before, after) : diffWordsWithSpace(before, after);
  return (
    <div class="code wrap diff" tabIndex={0} role="region" aria-label={name}>
      {parts.map((p, i) => p.added ? <ins key={i}><span class="hidden">{en.diff.added}</span>{p.value}</ins>
        : p.removed ? <del key={i}><span class="hidden">{en.diff.removed}</span>{p.value}</del>
          : <span key={i}>{p.value}</span>)}
    </div>
  );
}
