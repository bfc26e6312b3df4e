// The first view: photos in, what was measured out.

import { useEffect, useRef } from "preact/hooks";
import { theme, tell } from "../app-state";
import { current, runOf } from "../runs";
import { makeUploader } from "../uploader";
import { OptionsForm } from "./options-form";
import { RunPicker, RunView } from "./run";

/** It stays while others are shown, as the photos that were picked are in it; its results are drawn only when they are seen. */
export function Measure({ isShown }: { isShown: boolean }) {
  const target = useRef<HTMLDivElement>(null);
  const uploader = useRef<ReturnType<typeof makeUploader>>();
  useEffect(() => {
    const made = makeUploader(target.current!, theme.value, tell);
    uploader.current = made;
    return made.close;
  }, []);
  useEffect(() => uploader.current?.uppy.getPlugin("Dashboard")?.setOptions({ theme: theme.value }), [theme.value]);
  const run = runOf(current.value);
  const results = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!run) return;
    results.current?.focus({ preventScroll: true });
    results.current?.scrollIntoView({ block: "start", behavior: "smooth" });
  }, [run?.id]);
  return (
    <>
      {!run && (
        <div class="intro">
          <h1>Millimetres from a face photo</h1>
          <p>Each with how sure it is. One photo or thousands; a card, a marker or a known PD makes them surer.</p>
        </div>
      )}
      {run && <h1 class="unseen">Measure photos</h1>}
      <div class="input">
        <div class="card drop">
          <div ref={target} />
          <p class="quiet">A photo is sent to this service alone and deleted once it is measured. Its numbers stay until they expire, or until you delete them.</p>
        </div>
        <OptionsForm />
      </div>
      <div ref={results} tabIndex={-1} class="results" aria-label="Results" role="region">
        {isShown && <RunPicker />}
        {isShown && run && <RunView key={run.id} run={run} />}
      </div>
    </>
  );
}
