// The console speaks /v1 like any other client. This file is the only one that does.
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi";

export type Schema = components["schemas"];
export type { paths } from "./openapi";

/** client makes requests that are checked against the OpenAPI document when they are compiled. */
export const client = createClient<paths>({ baseUrl: location.origin });

/** Problem is why a request was refused. Status 0 means that there was no answer. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly errors: { field: string; message: string }[] = [],
    readonly retryAfter = 0,
    readonly type = "about:blank",
  ) {
    super(detail || title);
  }

  /** field returns what is wrong with a field, or "". */
  field(name: string): string {
    return this.errors.find((e) => e.field === name || e.field === "/" + name)?.message ?? "";
  }
}

/** stepUp is the type of the problem that asks for the key again. */
export const stepUp = "https://hookline.dev/problems/step-up";

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** lostSession is called when the server says that nobody is signed in. */
let lostSession = () => {};
export function onLostSession(f: () => void) {
  lostSession = f;
}

/** askKey shows the dialog that asks for the key again. It resolves to false when it is closed. */
let askKey = async () => false;
export function onStepUp(f: () => Promise<boolean>) {
  askKey = f;
}

/** problemOf reads the problem in an answer. A body that is no problem gives the status alone. */
export async function problemOf(response: Response, error?: unknown): Promise<Problem> {
  const p = (typeof error === "object" && error !== null ? error : {}) as Partial<Schema["Problem"]>;
  const after = Number(response.headers.get("Retry-After") ?? "0");
  return new Problem(response.status, p.title ?? response.statusText, p.detail ?? "", p.errors ?? [], after || 0, p.type);
}

/** ask returns the data of an answer, and throws a Problem for any other. */
export async function ask<T>(request: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await request;
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") throw e;
    throw new Problem(0, "", e instanceof SyntaxError ? "syntax" : "");
  }
  if (!answer.response.ok) {
    if (answer.response.status === 401) lostSession();
    throw await problemOf(answer.response, answer.error);
  }
  return answer.data as T;
}

/**
 * change is ask for what changes something. When the session is too old for it, it asks for the
 * key and tries once more.
 */
export async function change<T>(request: () => Promise<Answer<T>>): Promise<T> {
  try {
    return await ask(request());
  } catch (e) {
    if (e instanceof Problem && e.type === stepUp && (await askKey())) return ask(request());
    throw e;
  }
}

/** isProblem reports whether something thrown is a Problem, of a status if one is given. */
export function isProblem(e: unknown, status?: number): e is Problem {
  return e instanceof Problem && (status === undefined || e.status === status);
}
