// What the person knows about the photos: it makes the millimetres better.

import { NOTHING_SAID, options, type Options, saidInWords } from "../options";

/** Where there is room beside the photos; else it is a tap away. */
const isWide = matchMedia("(min-width: 961px)").matches;
const DICTIONARIES = [4, 5, 6, 7].flatMap((bits) => [50, 100, 250, 1000].map((count) => `${bits}x${bits}_${count}`));

export function OptionsForm() {
  const said = options.value;
  const set = (changes: Partial<Options>) => {
    options.value = { ...said, ...changes };
  };
  const text = (name: keyof Options) => (event: Event) => set({ [name]: (event.currentTarget as HTMLInputElement).value });
  const tick = (name: keyof Options) => (event: Event) => set({ [name]: (event.currentTarget as HTMLInputElement).checked });
  return (
    <details class="card options" open={isWide}>
      <summary><h2>What you know about the photos</h2>{saidInWords(said) && <span class="said"> {saidInWords(said)}</span>}</summary>
      <form aria-label="What you know about the photos" onSubmit={(event) => event.preventDefault()}>
      <p class="quiet">Nothing is needed: without any of it the scale comes from the iris, to 4 % at best. What you say holds for every photo that is sent, until you clear it.</p>
      <fieldset>
        <legend>Something of known size</legend>
        <label>Pupil distance (PD), mm
          <input type="number" class="short" min="40" max="80" step="0.5" inputMode="decimal" placeholder="63" value={said.known_pd_mm} onInput={text("known_pd_mm")} />
        </label>
        {said.known_pd_mm && (
          <label>It was measured
            <select value={said.known_pd_kind} onChange={text("known_pd_kind")}>
              <option value="distance">for far gaze (optician)</option>
              <option value="near">for reading at 40 cm</option>
              <option value="as_photographed">as in this photo</option>
            </select>
          </label>
        )}
        <label>Held in the photo
          <select value={said.object} onChange={text("object")}>
            <option value="">nothing</option>
            <option value="id1_card">a bank or identity card</option>
            <option value="aruco">a printed ArUco marker</option>
          </select>
        </label>
        {said.object === "aruco" && (
          <>
            <label>Dictionary <select value={said.aruco_dictionary} onChange={text("aruco_dictionary")}>{DICTIONARIES.map((name) => <option key={name}>{name}</option>)}</select></label>
            <label>Side, mm <input type="number" class="short" min="5" max="200" step="0.1" value={said.aruco_side_mm} onInput={text("aruco_side_mm")} /></label>
          </>
        )}
        {said.object && (
          <label>flat against the
            <select value={said.reference_object_placement} onChange={text("reference_object_placement")}>
              <option value="forehead">forehead</option>
              <option value="upper_lip">upper lip</option>
              <option value="">somewhere else (less sure)</option>
            </select>
          </label>
        )}
      </fieldset>
      <fieldset>
        <legend>The photos</legend>
        <label class="tick"><input type="checkbox" checked={said.mirrored} onChange={tick("mirrored")} /> <span>Selfies saved as in a mirror <small>left and right are swapped back</small></span></label>
        <label class="tick"><input type="checkbox" checked={said.keep_image} onChange={tick("keep_image")} /> <span>Keep the photo <small>on the service until the result expires; needed to see HEIC, or to look again from another device. Else it is deleted once measured.</small></span></label>
        <label>Faces in a photo
          <select value={said.max_faces} onChange={text("max_faces")}>{Array.from({ length: 10 }, (_, n) => <option key={n} value={`${n + 1}`}>{n === 0 ? "the largest" : `up to ${n + 1}`}</option>)}</select>
        </label>
        <label>Call back at <input type="url" placeholder="https://…" value={said.webhook_url} onInput={text("webhook_url")} /></label>
      </fieldset>
      {said !== NOTHING_SAID && <button type="button" class="chip" onClick={() => (options.value = NOTHING_SAID)}>Clear</button>}
      </form>
    </details>
  );
}
