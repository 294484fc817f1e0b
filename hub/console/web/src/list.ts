// Lists of any length, a page of the API at a time. A page may be short, or empty, although more
// rows follow: one call of the API looks at a bounded number of rows. The list then goes on by
// itself for a while, and says how far back it has looked.
import { useInfiniteQuery } from "@tanstack/preact-query";
import { useEffect } from "preact/hooks";

export interface Batch<T> {
  data: T[];
  nextCursor?: string;
  /** scannedTo is how far back the API has looked, where it says so. */
  scannedTo?: string;
}

/** mostRows is how many rows a list keeps. */
export const mostRows = 2000;

const tries = 20; // empty pages in a row that are asked for without a click
const patience = 5000; // ms

export interface List<T> {
  rows: T[];
  /** loading is true while there is nothing to show yet. */
  loading: boolean;
  /** searching is true while pages without rows are gone through. */
  searching: boolean;
  fetching: boolean;
  error: unknown;
  /** more is true if the API has further rows. */
  more: boolean;
  /** full is true if the list keeps as many rows as it may. */
  full: boolean;
  next: () => void;
  again: () => void;
}

/** useList reads a list. key names it with its filters; fetchPage reads the page at a cursor. */
export function useList<T>(key: unknown[], fetchPage: (cursor: string | undefined, signal: AbortSignal) => Promise<Batch<T>>,
  options: { enabled?: boolean } = {}): List<T> {
  const q = useInfiniteQuery({
    queryKey: key,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) => page(fetchPage, pageParam, signal),
    getNextPageParam: (last: Batch<T>) => last.nextCursor,
    enabled: options.enabled ?? true,
    refetchOnWindowFocus: false,
    staleTime: 10_000,
  });
  const rows = q.data?.pages.flatMap((p) => p.data) ?? [];
  const full = rows.length >= mostRows;
  return {
    rows,
    loading: q.isPending && q.fetchStatus !== "idle",
    searching: q.isFetchingNextPage && rows.length === 0,
    fetching: q.isFetching,
    error: q.error,
    more: q.hasNextPage,
    full,
    next: () => void (!q.isFetching && q.hasNextPage && !full && q.fetchNextPage()),
    again: () => void q.refetch(),
  };
}

/** page reads one page, going on over empty ones for a bounded time. */
async function page<T>(fetchPage: (cursor: string | undefined, signal: AbortSignal) => Promise<Batch<T>>,
  cursor: string | undefined, signal: AbortSignal): Promise<Batch<T>> {
  const began = performance.now();
  let p = await fetchPage(cursor, signal);
  for (let n = 1; n < tries && p.data.length === 0 && p.nextCursor && performance.now() - began < patience; n++) {
    p = await fetchPage(p.nextCursor, signal);
  }
  return p;
}

/** useInterval calls a function again and again while the page can be seen. */
export function useInterval(act: () => void, milliseconds: number) {
  useEffect(() => {
    const id = setInterval(() => !document.hidden && act(), milliseconds);
    return () => clearInterval(id);
  });
}
