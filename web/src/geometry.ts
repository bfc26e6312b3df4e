// Where things are drawn on the photo, in its pixels: from the landmarks of the result and the points of the definitions.

import triangles from "../../shared/face_triangles.txt";
import type { Definition, Face, MeasurementValue } from "./types";

export interface Spot {
  x: number;
  y: number;
}

export interface Line {
  key: string;
  number: number;
  colour: string;
  value: MeasurementValue;
  /** What is measured. */
  points: [Spot, Spot];
  /** Where it is drawn: lines between the same points stand apart. */
  ends: [Spot, Spot];
  /** The landmarks that it is made from. */
  landmarks: (Spot & { id: number })[];
}

export interface Tag {
  line: Line;
  text: string;
  box: { x: number; y: number; width: number; height: number };
  from: Spot;
  to: Spot;
}

const COLOURS = ["#ffd166", "#f78c6b", "#06d6a0", "#7ae582", "#f9f871", "#b8f2e6", "#a0c4ff", "#ff9ecd", "#4cc9f0", "#c77dff"];
const NOSE_RIDGE = 195;
const AXIS = 0.3;
/** Of the width of the face: how far a line stands off that shares its points with another, and one to the midline. */
const APART = -0.09;
const TO_MIDLINE = 0.075;

const EDGES = (() => {
  const found = new Map<number, [number, number]>();
  for (const row of triangles.trim().split("\n")) {
    const [a = 0, b = 0, c = 0] = row.split(" ").map(Number);
    for (const [p, q] of [[a, b], [b, c], [c, a]] as [number, number][]) found.set(Math.min(p, q) * 1000 + Math.max(p, q), [p, q]);
  }
  return [...found.values()];
})();

export function meshPath(face: Face): string {
  const points = face.landmarks ?? [];
  const at = (index: number) => `${points[index]!.x.toFixed(1)} ${points[index]!.y.toFixed(1)}`;
  return points.length ? EDGES.map(([a, b]) => `M${at(a)}L${at(b)}`).join("") : "";
}

/** Drop a perpendicular from a point to the line through two others. */
function foot(point: Spot, above: Spot, below: Spot): Spot {
  const [dx, dy] = [below.x - above.x, below.y - above.y];
  const share = ((point.x - above.x) * dx + (point.y - above.y) * dy) / (dx * dx + dy * dy || 1);
  return { x: above.x + share * dx, y: above.y + share * dy };
}

export function linesOf(face: Face, definitions: Definition[]): Line[] {
  const points = face.landmarks;
  if (!points?.length) return [];
  const taken = new Set<string>();
  const size = face.bounding_box.width;
  const roll = (face.pose.roll_deg * Math.PI) / 180;
  const down = { x: -Math.sin(roll), y: Math.cos(roll) };
  return definitions.flatMap((definition, index) => {
    const value = face.measurements[definition.key];
    const at = definition.landmarks.map((id) => ({ ...points[id]!, id }));
    const [a, b, c] = at;
    if (!value || !a || !b) return [];
    const end = c ? foot(a, b, c) : b;
    const pair = definition.landmarks.join();
    const off = size * (c ? TO_MIDLINE : taken.has(pair) ? APART : 0);
    taken.add(pair);
    const aside = (spot: Spot): Spot => ({ x: spot.x + off * down.x, y: spot.y + off * down.y });
    const colour = COLOURS[index % COLOURS.length]!;
    return [{ key: definition.key, number: index + 1, colour, value, points: [a, end], ends: [aside(a), aside(end)], landmarks: at }];
  });
}

export function axesOf(face: Face): { name: string; colour: string; from: Spot; to: Spot }[] {
  const from = face.landmarks?.[NOSE_RIDGE];
  if (!from) return [];
  const length = AXIS * face.bounding_box.width;
  const axes: [string, number, number, string][] = [["left", 0, 1, "#ff5a5f"], ["down", 1, 1, "#2ecc71"], ["gaze", 2, -1, "#4d96ff"]];
  return axes.map(([name, column, sign, colour]) => ({
    name,
    colour,
    from,
    to: {
      x: from.x + sign * length * (face.pose.rotation[0]?.[column] ?? 0),
      y: from.y + sign * length * (face.pose.rotation[1]?.[column] ?? 0),
    },
  }));
}

/** Move sorted places apart to at least `step`, as little as need be, and keep them between two bounds. */
export function spread(wanted: number[], step: number, low: number, high: number): number[] {
  const groups: { start: number; count: number }[] = [];
  for (const place of wanted) {
    let group = { start: place, count: 1 };
    for (let before = groups.at(-1); before && before.start + step * before.count > group.start; before = groups.at(-1)) {
      const count = before.count + group.count;
      group = { start: (before.count * before.start + group.count * (group.start - before.count * step)) / count, count };
      groups.pop();
    }
    groups.push(group);
  }
  const places = groups.flatMap(({ start, count }) => Array.from({ length: count }, (_, n) => start + n * step));
  for (let n = places.length - 1, bound = high; n >= 0; n--, bound -= step) places[n] = Math.min(places[n]!, bound);
  for (let n = 0, bound = low; n < places.length; n++, bound += step) places[n] = Math.max(places[n]!, bound);
  return places;
}

/** Stand the tags in two columns beside the face, clear of each other. `unit` is what a pixel of the screen is of the photo. */
export function placeTags(
  lines: Line[],
  face: Face,
  room: { width: number; height: number; margin: number },
  unit: number,
  textOf: (line: Line) => string,
): Tag[] {
  const [height, step, gap, edge] = [20 * unit, 24 * unit, 18 * unit, 4 * unit];
  const middleOf = ({ ends }: Line) => (ends[0].y + ends[1].y) / 2;
  const columns: [Line[], Line[]] = [[], []];
  const below: Line[] = [];
  for (const line of [...lines].sort((one, other) => middleOf(one) - middleOf(other))) {
    const [a, b] = line.ends;
    if (Math.abs(b.y - a.y) > 1.5 * Math.abs(b.x - a.x)) below.push(line);
    else if (line.landmarks.length > 2) columns[a.x > b.x ? 1 : 0].push(line);
    else columns[columns[0].length > columns[1].length ? 1 : 0].push(line);
  }
  const box = face.bounding_box;
  const widthOf = (text: string) => (text.length * 6.3 + 14) * unit;
  const tags = columns.flatMap((column, side) => {
    const places = spread(column.map(middleOf), step, edge + height / 2, room.height - edge - height / 2);
    return column.map((line, index) => {
      const text = textOf(line);
      const width = widthOf(text);
      const free = side ? Math.min(box.x + box.width + gap, room.width + room.margin - edge - width) : Math.max(box.x - gap - width, edge - room.margin);
      const from = [...line.ends].sort((one, other) => one.x - other.x)[side]!;
      const y = places[index]!;
      return { line, text, box: { x: free, y: y - height / 2, width, height }, from, to: { x: side ? free : free + width, y } };
    });
  });
  const under = below.map((line) => {
    const text = textOf(line);
    const width = widthOf(text);
    const from = [...line.ends].sort((one, other) => one.y - other.y)[1]!;
    const y = Math.min(from.y + gap, room.height - edge - height);
    return { line, text, box: { x: from.x - width / 2, y, width, height }, from, to: { x: from.x, y } };
  });
  return [...tags, ...under];
}
