// One photo: the drawing, what was measured, how good the photo is, and what would make it better.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { save } from "../api";
import { definitions, tell } from "../app-state";
import { type Item, OPEN, opened, readItem, type Run } from "../runs";
import type { Definition, Face, JobResult } from "../types";
import { errorInWords, fixed, inWords, millimetres, sentence, statusInWords, title, verdict, when } from "../words";
import { Stage } from "./stage";

export function Detail({ run, item, children }: { run: Run; item: Item; children?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const isOpen = OPEN.has(item.status);
  useEffect(() => {
    if (isOpen || item.isRead) return;
    const stop = new AbortController();
    readItem(run.id, item.index, stop.signal).catch((error: Error) => stop.signal.aborted || tell(error));
    return () => stop.abort();
  }, [run.id, item.index, isOpen, item.isRead]);
  useEffect(() => {
    if (run.kind === "batch") {
      heading.current?.focus({ preventScroll: true });
      heading.current?.scrollIntoView({ block: "start", behavior: "smooth" });
    }
  }, [run.id, item.index]);
  return (
    <section class="card detail" aria-labelledby="detail-title">
      <header class="detail-head">
        <h2 id="detail-title" ref={heading} tabIndex={-1}>{item.name}</h2>
        {children}
      </header>
      {isOpen && <Progress item={item} />}
      {item.error && <Refused item={item} />}
      {item.status === "cancelled" && <p>This photo was cancelled before it was measured.</p>}
      {item.result && (item.isRead ? <Faces key={item.jobId} item={item} result={item.result} /> : <p class="quiet" role="status">Reading the points …</p>)}
    </section>
  );
}

export function Stepper({ run, item }: { run: Run; item: Item }) {
  const place = run.items.findIndex(({ index }) => index === item.index);
  const step = (by: number) => {
    const other = run.items[place + by];
    if (other) opened.value = { run: run.id, index: other.index };
  };
  const close = () => {
    opened.value = null;
    // Back to where it was opened, unless the table shows another page by now.
    document.querySelector<HTMLElement>(`.photos tr[data-index="${item.index}"] button`)?.focus();
  };
  return (
    <div class="stepper">
      <button type="button" class="chip" disabled={place <= 0} onClick={() => step(-1)}>← Previous</button>
      <button type="button" class="chip" disabled={place >= run.items.length - 1} onClick={() => step(1)}>Next →</button>
      <button type="button" class="chip" onClick={close}>Close</button>
    </div>
  );
}

function Progress({ item }: { item: Item }) {
  const place = item.queuePosition;
  return (
    <div class="progressing" role="status">
      <span class="spinner" aria-hidden="true" />
      {item.status === "queued" && place ? `Waiting: number ${place} in the queue` : `${statusInWords(item.status)} …`}
    </div>
  );
}

function Refused({ item }: { item: Item }) {
  const error = item.error!;
  return (
    <div class="refused" role="alert">
      <h3>{errorInWords(error.code)}</h3>
      <p>{sentence(error.message)}</p>
      {error.retake.length > 0 && (
        <>
          <p>What would help:</p>
          <ul>{error.retake.map(({ code, message }) => <li key={code}>{message}</li>)}</ul>
        </>
      )}
      {item.status === "failed" && <p>The photo is not at fault. Send it again; if it fails again, report {item.jobId}.</p>}
    </div>
  );
}

function Faces({ item, result }: { item: Item; result: JobResult }) {
  const [which, setWhich] = useState(0);
  const [active, setActive] = useState<string | null>(null);
  const [pinned, setPinned] = useState<string | null>(null);
  const face = result.faces[which] ?? result.faces[0];
  if (!face) return <p>No face was measured.</p>;
  const shown = active ?? pinned;
  const definition = definitions.value.find(({ key }) => key === shown);
  return (
    <>
      {result.faces.length > 1 && (
        <div class="toolbar" role="group" aria-label="Which face">
          {result.faces.map((_, index) => (
            <button type="button" class="chip" key={index} aria-pressed={index === which} onClick={() => setWhich(index)}>Face {index + 1}{index ? "" : ", the largest"}</button>
          ))}
        </div>
      )}
      <div class="face">
        <div class="seen">
          <Stage {...{ name: item.name, file: item.file, jobId: item.jobId, result, face, active: shown, setActive, definitions: definitions.value }} />
          {!face.landmarks && <p class="note">This photo was sent without keeping its points, so nothing can be drawn on it.</p>}
          <Meaning definition={definition} face={face} />
          <Quality face={face} />
        </div>
        <div class="read">
          <Facts face={face} result={result} expiresAt={item.expiresAt} />
          <Values {...{ face, active: shown, pinned, setActive, setPinned }} />
          <Files item={item} face={which} />
        </div>
      </div>
    </>
  );
}

function turned(degrees: number, positive: string, negative: string): string {
  const rounded = Math.round(Math.abs(degrees));
  return rounded === 0 ? "0°" : `${rounded}° ${degrees > 0 ? positive : negative}`;
}

function Facts({ face, result, expiresAt }: { face: Face; result: JobResult; expiresAt: string | null }) {
  const { scale, pose, quality } = face;
  return (
    <>
      <dl class="facts">
        <div>
          <dt>Scale</dt>
          {scale ? (
            <dd>
              from {scale.source === "iris" ? "the iris" : `the ${inWords(scale.source)}`}, ± {fixed((100 * scale.sd) / scale.mm_per_px)} %
              {scale.status === "ok" ? "" : <em class="doubt"> {verdict(scale)}</em>}
              {scale.agreement && <small>{scale.agreement.agrees ? "agrees" : "disagrees"} with the {inWords(scale.agreement.source)}</small>}
            </dd>
          ) : <dd class="doubt">none: pixels only</dd>}
        </div>
        {scale && <div><dt>Distance</dt><dd>{Math.round(scale.distance_mm / 10)} ± {Math.round(scale.distance_sd_mm / 10)} cm<small>focal length {result.camera.source === "exif" ? "from the photo" : "assumed"}</small></dd></div>}
        <div>
          <dt>Head</dt>
          <dd>
            <span>turned {turned(pose.yaw_deg, "to its left", "to its right")}</span>, <span>chin {turned(pose.pitch_deg, "up", "down")}</span>, <span>tilted {turned(pose.roll_deg, "clockwise", "anticlockwise")}</span>
          </dd>
        </div>
        <div><dt>Photo</dt><dd>{result.image.width} × {result.image.height} px, {result.image.format.toUpperCase()}{result.image.mirrored ? ", turned back from its mirror image" : ""}</dd></div>
        {expiresAt && <div><dt>Kept until</dt><dd>{when(expiresAt)}</dd></div>}
      </dl>
      {quality.retake.length > 0 && (
        <div class="retake">
          <h3>For a better photo</h3>
          <ul>{quality.retake.map(({ code, message }) => <li key={code}>{message}</li>)}</ul>
        </div>
      )}
    </>
  );
}

export function levelOf(score: number): string {
  return score >= 70 ? "good" : score >= 40 ? "fair" : "poor";
}

function Quality({ face }: { face: Face }) {
  const { score, components } = face.quality;
  return (
    <details class="quality" open={score < 70}>
      <summary>Photo quality <strong class={levelOf(score)}>{score}</strong> of 100, {levelOf(score)}</summary>
      <ul class="bars">
        {Object.entries(components).map(([name, value]) => (
          <li key={name}>
            <span>{title(name)}</span>
            <span class="bar" aria-hidden="true"><i class={value === null ? "" : levelOf(value)} style={{ width: `${value ?? 0}%` }} /></span>
            <b>{value ?? "–"}</b>
          </li>
        ))}
      </ul>
    </details>
  );
}

interface ValuesProps {
  face: Face;
  active: string | null;
  pinned: string | null;
  setActive: (key: string | null) => void;
  setPinned: (key: string | null) => void;
}

function Values({ face, active, pinned, setActive, setPinned }: ValuesProps) {
  const numbers = new Map(definitions.value.map(({ key }, index) => [key, index + 1]));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Measurements">
      <table class="values" onPointerLeave={() => setActive(null)}>
        <caption class="unseen">What was measured, in millimetres with one standard deviation</caption>
        <thead><tr><th scope="col">Measurement</th><th scope="col" class="number">mm ± SD</th><th scope="col">Verdict</th></tr></thead>
        <tbody>
          {Object.entries(face.measurements).map(([key, value]) => (
            <tr key={key} data-key={key} class={`${value.status}${key === active ? " active" : ""}`} onPointerEnter={() => setActive(key)}>
              <th scope="row">
                <button type="button" class="link" aria-pressed={key === pinned} aria-describedby={key === active ? "meaning" : undefined}
                  onFocus={() => setActive(key)} onBlur={() => setActive(null)} onClick={() => setPinned(key === pinned ? null : key)}>
                  <span class="no">{numbers.get(key)}</span> {title(key)}
                </button>
              </th>
              <td class="number">{millimetres(value)}</td>
              <td><span class={`verdict ${value.status}`}>{verdict(value)}</span></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Meaning({ definition, face }: { definition: Definition | undefined; face: Face }) {
  if (!definition) return <p id="meaning" class="meaning quiet">Point at a measurement, or tap it or tab to it, to see its points and what it means.</p>;
  const value = face.measurements[definition.key];
  return (
    <div id="meaning" class="meaning" data-key={definition.key}>
      <h3>{title(definition.key)} <small>{definition.term}</small></h3>
      <p>{definition.stands_for}</p>
      <dl>
        <dt>Points</dt><dd>landmarks {definition.landmarks.join(", ")}{value?.px ? `; ${fixed(value.px)} px apart` : ""}</dd>
        <dt>Formula</dt><dd>{definition.formula}</dd>
        <dt>Known error</dt><dd>{definition.known_error}</dd>
        <dt>Repeats within</dt><dd>{definition.repeatability}</dd>
      </dl>
    </div>
  );
}

function Files({ item, face }: { item: Item; face: number }) {
  const where = `/v1/jobs/${item.jobId}`;
  const stem = item.name.replace(/\.[^.]*$/, "");
  const get = (path: string, ending: string) => () => void save(path, `${stem}${ending}`).catch(tell);
  return (
    <p class="files">
      <span>Save:</span>
      <button type="button" class="chip" onClick={get(where, ".json")}>JSON</button>
      <button type="button" class="chip" onClick={get(`${where}/overlay.svg`, ".svg")}>Drawing (SVG)</button>
      <button type="button" class="chip" onClick={get(`${where}/mesh.obj?face=${face}`, ".obj")}>Mesh (OBJ)</button>
      <button type="button" class="chip" onClick={get(`${where}/mesh.ply?face=${face}`, ".ply")}>Mesh (PLY)</button>
    </p>
  );
}

