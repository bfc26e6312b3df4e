// The photo with what was measured drawn on it.

import { signal } from "@preact/signals";
import createPanzoom, { type PanzoomObject } from "@panzoom/panzoom";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { axesOf, type Line, linesOf, meshPath, placeTags } from "../geometry";
import { photoOf } from "../photos";
import type { Definition, Face, JobResult } from "../types";
import { fixed, millimetres, title } from "../words";

/** Below this width in CSS pixels the tags are numbers alone; the list beside the photo says what they stand for. */
const ROOM_FOR_NAMES = 620;
const STEP = 1.4;
const PAN = 60;

interface Layers {
  mesh: boolean;
  lines: boolean;
  names: boolean;
  axes: boolean;
}

/** What the person wants to see, whichever photo it is. */
const layersShown = signal<Layers>({ mesh: true, lines: true, names: true, axes: false });

const LAYERS: [keyof Layers, string][] = [["mesh", "Mesh"], ["lines", "Lines"], ["names", "Names"], ["axes", "Axes"]];

interface StageProps {
  name: string;
  file: File | null;
  jobId: string | null;
  result: JobResult;
  face: Face;
  definitions: Definition[];
  active: string | null;
  setActive: (key: string | null) => void;
}

type Photo = Awaited<ReturnType<typeof photoOf>> | undefined;

function usePhoto(file: File | null, jobId: string | null): Photo {
  const [photo, setPhoto] = useState<Photo>();
  useEffect(() => {
    let isWanted = true;
    let made: Photo;
    setPhoto(undefined);
    void photoOf(file, jobId).then((found) => {
      made = found;
      if (isWanted) setPhoto(found);
      else if (found) URL.revokeObjectURL(found.url);
    });
    return () => {
      isWanted = false;
      if (made) URL.revokeObjectURL(made.url);
    };
  }, [file, jobId]);
  return photo;
}

/** By EXIF orientation, from the picture as it is stored to the upright one. */
const TURNS = ["", "", "scaleX(-1)", "rotate(180deg)", "scaleY(-1)", "rotate(90deg) scaleY(-1)", "rotate(90deg)", "rotate(-90deg) scaleY(-1)", "rotate(-90deg)"];
const LIES_FROM = 5;

/** Turn a photo as the service did. Browsers apply EXIF to some formats and not to others, so they are told to apply none. */
function turnOf(isOwn: boolean, { exif_orientation, mirrored }: JobResult["image"]): { turn: string; isLying: boolean } {
  if (!isOwn) return { turn: "", isLying: false };
  return { turn: `${mirrored ? "scaleX(-1)" : ""} ${TURNS[exif_orientation] ?? ""}`.trim(), isLying: exif_orientation >= LIES_FROM };
}

function Picture({ photo, image, name }: { photo: NonNullable<Photo>; image: JobResult["image"]; name: string }) {
  const { turn, isLying } = turnOf(photo.isOwn, image);
  const lying = { width: `${(100 * image.height) / image.width}%`, height: `${(100 * image.width) / image.height}%` };
  // Where a browser shows HEIC, how it is turned is part of the picture: the service has applied it too, and tells of none.
  const imageOrientation = photo.isOwn && image.format === "heic" ? "from-image" : "none";
  return <img class={isLying ? "photo lying" : "photo"} src={photo.url} alt={`Your photo ${name}`} draggable={false}
    style={{ imageOrientation, transform: isLying ? `translate(-50%, -50%) ${turn}` : turn || "none", ...(isLying ? lying : {}) }} />;
}

export function Stage({ name, file, jobId, result, face, definitions, active, setActive }: StageProps) {
  const { width, height } = result.image;
  const photo = usePhoto(file, jobId);
  const layers = layersShown.value;
  const [sizes, setSizes] = useState({ frame: 0, photo: 0 });
  const [zoom, setZoom] = useState(1);
  const sheet = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const panzoom = useRef<PanzoomObject | null>(null);
  const lines = useMemo(() => linesOf(face, definitions), [face, definitions]);
  const mesh = useMemo(() => meshPath(face), [face]);

  useEffect(() => {
    const element = sheet.current!;
    const made = createPanzoom(element, { minScale: 1, maxScale: 8, contain: "outside", panOnlyWhenZoomed: true, cursor: "default", touchAction: "pan-y", step: 0.3 });
    panzoom.current = made;
    const onChange = (event: Event) => {
      const { scale } = (event as CustomEvent<{ scale: number }>).detail;
      setZoom(scale);
      made.setOptions({ touchAction: scale > 1 ? "none" : "pan-y", cursor: scale > 1 ? "move" : "default" });
    };
    const onWheel = (event: WheelEvent) => {
      if (event.ctrlKey || event.metaKey) made.zoomWithWheel(event); // a bare wheel scrolls the page
    };
    element.addEventListener("panzoomchange", onChange);
    element.parentElement!.addEventListener("wheel", onWheel, { passive: false });
    const watcher = new ResizeObserver(() => setSizes({ frame: element.offsetWidth, photo: box.current!.offsetWidth }));
    watcher.observe(element);
    watcher.observe(box.current!);
    return () => {
      watcher.disconnect();
      element.removeEventListener("panzoomchange", onChange);
      element.parentElement?.removeEventListener("wheel", onWheel);
      made.destroy();
    };
  }, []);

  const zoomBy = (factor: number) => panzoom.current?.zoom(zoom * factor, { animate: true });
  const reset = () => panzoom.current?.reset({ animate: true });
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own zoom, for one
    const pans: Record<string, [number, number]> = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
    const pan = pans[event.key];
    if (pan && zoom > 1) panzoom.current?.pan(pan[0] / zoom, pan[1] / zoom, { relative: true });
    else if (event.key === "+" || event.key === "=") zoomBy(STEP);
    else if (event.key === "-") zoomBy(1 / STEP);
    else if (event.key === "0" || event.key === "Escape") reset();
    else return;
    event.preventDefault();
  };

  const unit = sizes.photo ? width / sizes.photo / zoom : 0;
  const room = { ...result.image, margin: ((sizes.frame - sizes.photo) / 2) * unit * zoom };
  return (
    <div class="stage">
      <div class="toolbar" role="toolbar" aria-label="What is drawn on the photo">
        {LAYERS.map(([key, label]) => (
          <button type="button" class="chip" key={key} aria-pressed={layers[key]} onClick={() => (layersShown.value = { ...layers, [key]: !layers[key] })}>{label}</button>
        ))}
        <span class="grow" />
        <button type="button" class="chip icon" aria-label="Zoom out" disabled={zoom <= 1} onClick={() => zoomBy(1 / STEP)}>−</button>
        <span class="zoom" aria-live="polite">{Math.round(zoom * 100)}&nbsp;%</span>
        <button type="button" class="chip icon" aria-label="Zoom in" disabled={zoom >= 8} onClick={() => zoomBy(STEP)}>+</button>
        <button type="button" class="chip" disabled={zoom === 1} onClick={reset}>Whole photo</button>
      </div>
      <div class="ground" role="group" tabIndex={0} aria-label="Photo: plus and minus zoom, arrow keys move, 0 shows all of it" onKeyDown={onKey}>
        <div class="sheet" ref={sheet}>
          <div class="box" ref={box} style={{ aspectRatio: `${width} / ${height}`, "--aspect": `${width / height}` }}>
            {photo && <Picture photo={photo} image={result.image} name={name} />}
            {unit > 0 && <Drawing {...{ lines, mesh, face, layers, active, setActive, unit, room, hasNames: sizes.frame * Math.min(zoom, 2) >= ROOM_FOR_NAMES }} />}
          </div>
        </div>
      </div>
      {photo === null && <NoPhoto file={file} />}
    </div>
  );
}

function NoPhoto({ file }: { file: File | null }) {
  return file ? (
    <p class="note">Your browser cannot show this kind of photo (HEIC, most likely). It was measured all the same. To see it under the drawing, tick “Keep the photo” and send it again: the service then makes a copy that every browser shows.</p>
  ) : (
    <p class="note">The photo was deleted once it was measured, so the drawing stands alone. Photos sent from this tab are shown from your own device; those sent with “Keep the photo” are shown from the service.</p>
  );
}

interface DrawingProps {
  lines: Line[];
  mesh: string;
  face: Face;
  layers: Layers;
  active: string | null;
  setActive: (key: string | null) => void;
  unit: number;
  /** The photo, and how far beyond its sides there is something to draw on, in its pixels. */
  room: { width: number; height: number; margin: number };
  hasNames: boolean;
}

function Drawing({ lines, mesh, face, layers, active, setActive, unit, room, hasNames }: DrawingProps) {
  const textOf = (line: Line) => (hasNames ? `${line.number}  ${title(line.key)}  ${millimetres(line.value)}` : `${line.number}`);
  const shown = layers.lines ? lines : lines.filter(({ key }) => key === active);
  const tags = layers.names ? placeTags(shown, face, room, unit, textOf) : [];
  const chosen = lines.find(({ key }) => key === active);
  const sorted = [...shown].sort((one, other) => Number(one.key === active) - Number(other.key === active) || lengthOf(other) - lengthOf(one));
  return (
    <svg class={chosen ? "drawing chosen" : "drawing"} viewBox={`0 0 ${room.width} ${room.height}`} role="img"
      aria-label={`Face mesh with ${lines.length} measured lines; their values are in the list`} onPointerLeave={() => setActive(null)}>
      {layers.mesh && <path class="mesh" d={mesh} />}
      {tags.map(({ line, from, to }) => (
        <line class={line.key === active ? "leader active" : "leader"} key={`to-${line.key}`} x1={from.x} y1={from.y} x2={to.x} y2={to.y} stroke={line.colour} />
      ))}
      {sorted.map((line) => <Measured key={line.key} {...{ line, unit, isActive: line.key === active, setActive }} />)}
      {layers.axes && axesOf(face).map(({ name, colour, from, to }) => (
        <g class="axis" key={name} stroke={colour} fill={colour}>
          <line x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
          <text x={to.x + 5 * unit} y={to.y} font-size={12 * unit} stroke="none">{name}</text>
        </g>
      ))}
      {tags.map((tag) => (
        <g class={tag.line.key === active ? "tag active" : "tag"} key={`tag-${tag.line.key}`} onPointerEnter={() => setActive(tag.line.key)} onClick={() => setActive(tag.line.key)}>
          <rect {...tag.box} rx={tag.box.height / 2} stroke={tag.line.colour} />
          <text x={tag.box.x + tag.box.width / 2} y={tag.box.y + tag.box.height / 2} dy="0.35em" font-size={11.5 * unit} text-anchor="middle">{tag.text}</text>
        </g>
      ))}
      {chosen?.landmarks.map(({ id, x, y }) => (
        <g class="landmark" key={id} data-landmark={id}>
          <circle cx={x} cy={y} r={4.5 * unit} stroke={chosen.colour} />
          <text x={x} y={y - 9 * unit} font-size={11 * unit} text-anchor="middle">{id}</text>
        </g>
      ))}
    </svg>
  );
}

function lengthOf({ ends: [a, b] }: Line): number {
  return Math.hypot(b.x - a.x, b.y - a.y);
}

function Measured({ line, unit, isActive, setActive }: { line: Line; unit: number; isActive: boolean; setActive: (key: string) => void }) {
  const [a, b] = line.ends;
  const ends = { x1: a.x, y1: a.y, x2: b.x, y2: b.y };
  const said = `${title(line.key)}: ${line.value.mm === null ? "no millimetres" : `${millimetres(line.value)} mm`}, ${line.value.px === null ? "" : `${fixed(line.value.px)} px`}`;
  return (
    <g class={`measured ${line.value.status}${isActive ? " active" : ""}`} data-key={line.key} onPointerEnter={() => setActive(line.key)}>
      <title>{said}</title>
      <line class="reach" {...ends} />
      <line class="halo" {...ends} />
      <line class="value" {...ends} stroke={line.colour} />
      <circle cx={a.x} cy={a.y} r={2.6 * unit} fill={line.colour} />
      <circle cx={b.x} cy={b.y} r={2.6 * unit} fill={line.colour} />
    </g>
  );
}
