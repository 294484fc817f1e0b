// Who is signed in. The cookie is out of reach of scripts; what is here is what the server says.
import { signal } from "@preact/signals";
import { ask, client, onLostSession, onStepUp, Problem, problemOf } from "./api";
import type { Schema } from "./api";

export type Session = Schema["Session"];
export type Role = Session["role"];

/** session is who is signed in: undefined until it is known, null when nobody is. */
export const session = signal<Session | null | undefined>(undefined);

/** ended is true when a session ended while its page is open: what was typed there stays. */
export const ended = signal(false);

/** readSession asks the server who is signed in. */
export async function readSession(): Promise<void> {
  try {
    session.value = await ask(client.GET("/v1/session"));
    ended.value = false;
  } catch (e) {
    if (e instanceof Problem && e.status !== 401) throw e;
    if (!session.value) session.value = null;
  }
}

/** signIn begins a session with a key. The key is sent once and kept nowhere. */
export async function signIn(key: string): Promise<void> {
  await begin({ headers: { Authorization: "Bearer " + key } });
}

/** signInByCode begins a session with the code of a one-time link. */
export async function signInByCode(code: string): Promise<void> {
  await begin({ headers: { "Content-Type": "application/json" }, body: JSON.stringify({ code }) });
}

async function begin(init: RequestInit): Promise<void> {
  let response: Response;
  try {
    response = await fetch("/v1/session", { method: "POST", ...init });
  } catch {
    throw new Problem(0, "", "");
  }
  if (!response.ok) throw await problemOf(response, await response.json().catch(() => undefined));
  await readSession();
}

/** signOut ends the session, here and on the server. */
export async function signOut(): Promise<void> {
  await ask(client.DELETE("/v1/session"));
  session.value = null;
  ended.value = false;
}

onLostSession(() => {
  if (session.value) ended.value = true;
});

/** keyAsked is the question for the key that is open, or null. */
export const keyAsked = signal<null | ((given: boolean) => void)>(null);
onStepUp(
  () =>
    new Promise((resolve) => {
      keyAsked.value = (given) => {
        keyAsked.value = null;
        resolve(given);
      };
    }),
);

/** may reports whether who is signed in has one of the roles. */
export function may(...roles: Role[]): boolean {
  return !!session.value && roles.includes(session.value.role);
}
