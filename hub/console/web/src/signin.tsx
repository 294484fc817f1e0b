// Signing in: by a key, typed once and kept nowhere.
import { useState } from "preact/hooks";
import { isProblem } from "./api";
import { en } from "./en";
import { Failure, Field, Icon, Page } from "./parts";
import { signIn } from "./session";
import { Mark } from "./shell";

export function SignIn({ error }: { error: unknown }) {
  return (
    <main class="sign-in">
      <Page title={en.signIn.title} head={<span class="sign-in-mark"><Mark />{en.product}</span>}>
        {error ? <div class="notice bad" role="alert"><Icon name="warn" /><p>{isProblem(error, 401) ? en.signIn.usedCode : <Failure error={error} />}</p></div> : null}
        <SignInForm done={() => {}} />
        <section>
          <h2>{en.signIn.rolesTitle}</h2>
          <dl class="role-list">{en.signIn.roles.map(([role, sees]) => <div key={role}><dt>{role}</dt><dd>{sees}</dd></div>)}</dl>
        </section>
        <section>
          <h2>{en.signIn.whereTitle}</h2>
          <p class="muted">{en.signIn.where}</p>
        </section>
      </Page>
    </main>
  );
}

/** SignInForm asks for a key and calls done when it was right. */
export function SignInForm({ done }: { done: () => void }) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (e: SubmitEvent) => {
    e.preventDefault();
    const field = (e.currentTarget as HTMLFormElement).elements.namedItem("key") as HTMLInputElement;
    setBusy(true);
    setError(null);
    try {
      await signIn(field.value.trim());
      field.value = "";
      done();
    } catch (e) {
      setError(e);
      field.select();
    } finally {
      setBusy(false);
    }
  };
  const wrong = isProblem(error, 401) ? en.signIn.wrong : isProblem(error, 429) ? en.signIn.slow(error.retryAfter) : undefined;
  return (
    <form class="sign-in-form" onSubmit={(e) => void submit(e)}>
      {error && !wrong ? <Failure error={error} /> : null}
      <Field label={en.signIn.key} hint={en.signIn.hint} error={wrong}>
        {(p) => <input {...p} name="key" type="password" autocomplete="current-password" required autofocus spellcheck={false} />}
      </Field>
      <button type="submit" class="primary" disabled={busy}>{busy ? en.signIn.going : en.signIn.submit}</button>
    </form>
  );
}
