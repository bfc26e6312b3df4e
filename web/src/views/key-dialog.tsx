// The API key: asked for when the service wants one, kept in this tab, never in an address.

import { useEffect, useRef } from "preact/hooks";
import { key, keyWanted, setKey } from "../api";
import { tell } from "../app-state";
import { dropAll } from "../runs";

export function KeyButton() {
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const open = () => {
    if (dialog.current?.open) return;
    dialog.current?.showModal();
    field.current!.value = key.value;
  };
  useEffect(() => {
    if (keyWanted.value) open();
  }, [keyWanted.value]);
  const take = (given: string) => {
    if (given.trim() !== key.value) dropAll();
    setKey(given);
    tell(null);
    dialog.current?.close();
  };
  return (
    <>
      <button type="button" class="chip" onClick={open}>API key{key.value ? " ✓" : ""}<span class="unseen">{key.value ? ", set" : ", none"}</span></button>
      <dialog ref={dialog} aria-labelledby="key-title" onClose={() => (keyWanted.value = false)}>
        <form method="dialog" onSubmit={(event) => { event.preventDefault(); take(field.current!.value); }}>
          <h2 id="key-title">API key</h2>
          <p>{keyWanted.value ? (key.value ? "The service does not know the key that it was sent. " : "This service needs a key. ") : ""}It is kept in this tab until you close it, and sent to this service alone.</p>
          <label>Key <input ref={field} type="password" name="api_key" autocomplete="off" spellcheck={false} placeholder="ffk_…" /></label>
          <div class="line">
            <button type="submit" class="chip primary">Use it</button>
            <button type="button" class="chip" onClick={() => take("")}>Forget it</button>
            <span class="grow" />
            <button type="button" class="chip" onClick={() => dialog.current?.close()}>Cancel</button>
          </div>
        </form>
      </dialog>
    </>
  );
}
