import "./style.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { away, AWAY, key, waiting } from "./api";
import { changeTheme, loadDefinitions, notice, place, tell, theme } from "./app-state";
import { runs } from "./runs";
import { BatchPage, Batches } from "./views/batches";
import { Deliveries } from "./views/deliveries";
import { KeyButton } from "./views/key-dialog";
import { Measure } from "./views/measure";

const VIEWS: [string, string][] = [["#/", "Measure"], ["#/batches", "Batches"], ["#/deliveries", "Deliveries"]];

function App() {
  const [, view = "", id] = (place.value || "#/").split("/");
  const here = VIEWS.find(([path]) => path === `#/${view}`)?.[0] ?? "#/";
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the content</a>
      <header class="top">
        <a class="brand" href="#/"><img src="/web/favicon.svg" alt="" width="28" height="28" />facefit</a>
        <nav aria-label="Views">
          {VIEWS.map(([path, label]) => <a key={path} href={path} aria-current={path === here ? "page" : undefined}>{label}</a>)}
        </nav>
        <span class="grow" />
        <KeyButton />
        <button type="button" class="chip icon" onClick={changeTheme} aria-label={theme.value === "dark" ? "Use light colours" : "Use dark colours"}>{theme.value === "dark" ? "☀" : "☾"}</button>
      </header>
      <div class="notices" aria-live="assertive">
        {away.value && <p class="notice bad">{AWAY}</p>}
        {waiting.value && !away.value && <p class="notice doubt">{waiting.value} What was accepted goes on, and this page asks again by itself.</p>}
        {notice.value && !(away.value && notice.value.text === AWAY) && (
          <p class={notice.value.isBad ? "notice bad" : "notice"}>{notice.value.text} <button type="button" class="link" onClick={() => tell(null)}>Dismiss</button></p>
        )}
      </div>
      <main id="main" tabIndex={-1}>
        <div hidden={here !== "#/"}><Measure isShown={here === "#/"} /></div>
        {here === "#/batches" && (id ? <BatchPage id={id} /> : <Batches />)}
        {here === "#/deliveries" && <Deliveries />}
      </main>
      <footer><a href="/docs">API</a> · <a href="/web/licences.txt">Licences</a></footer>
    </>
  );
}

effect(() => {
  // With another key, and whenever something was sent: the service may have been away before.
  void key.value;
  void runs.value.length;
  void loadDefinitions();
});
effect(() => {
  const [, view = ""] = place.value.split("/");
  const label = VIEWS.find(([path]) => path === `#/${view}`)?.[1] ?? "Measure";
  document.title = view ? `${label} · facefit` : "facefit: millimetres from a face photo";
  tell(null); // what was told was about the view before
});
render(<App />, document.getElementById("app")!);
