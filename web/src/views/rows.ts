// The rows of a table of photos: what they are sorted by, which are shown, and the CSV of those.

import Papa from "papaparse";
import { call, saveBlob } from "../api";
import type { Item, Run } from "../runs";
import type { Face } from "../types";

export interface Filter {
  text: string;
  status: string;
  key: string;
  from: string;
  to: string;
}

export const EVERYTHING: Filter = { text: "", status: "", key: "", from: "", to: "" };

export interface Order {
  /** `name`, `status`, `quality`, `scale`, or the key of a measurement; null is the order in which they were sent. */
  by: string | null;
  isDown: boolean;
}

export function faceOf(item: Item): Face | undefined {
  return item.result?.faces[0];
}

/** Return what a row is sorted by; null, what is not there, goes last either way. */
function worth(item: Item, by: string): string | number | null {
  const face = faceOf(item);
  if (by === "name") return item.name;
  if (by === "status") return item.errorCode ?? item.status;
  if (by === "quality") return face?.quality.score ?? null;
  if (by === "scale") return face?.scale?.source ?? null;
  return face?.measurements[by]?.mm ?? null;
}

const WORDS = new Intl.Collator(undefined, { numeric: true });

export function sorted(items: Item[], { by, isDown }: Order): Item[] {
  if (by === null) return items;
  const sign = isDown ? -1 : 1;
  return items
    .map((item) => ({ item, value: worth(item, by) }))
    .sort(({ value: one }, { value: other }) => {
      if (one === null || other === null) return Number(one === null) - Number(other === null);
      return sign * (typeof one === "string" ? WORDS.compare(one, String(other)) : one - Number(other));
    })
    .map(({ item }) => item);
}

export function filtered(items: Item[], { text, status, key, from, to }: Filter): Item[] {
  const wanted = text.trim().toLowerCase();
  return items.filter((item) => {
    if (wanted && !item.name.toLowerCase().includes(wanted)) return false;
    if (status && item.status !== status && item.errorCode !== status) return false;
    if (!key) return true;
    const value = worth(item, key);
    if (from === "" && to === "") return true;
    return typeof value === "number" && (from === "" || value >= Number(from)) && (to === "" || value <= Number(to));
  });
}

const ITEM_INDEX = "item_index";

/** By this Excel knows that a CSV is UTF-8; `?bom=true` of the service is the same. */
const MARK = "\uFEFF";

/** Save the service's own CSV of a batch; where some rows are hidden or moved, those rows of it in the order shown. */
export async function saveCsv(run: Run, shown: Item[]): Promise<void> {
  const text = await (await call(`/v1/batches/${run.id}/results?format=csv`)).text();
  const isWhole = shown.length === run.items.length && shown.every((item, place) => item.index === run.items[place]?.index);
  const csv = isWhole ? text : arranged(text, shown);
  saveBlob(new Blob([MARK, csv], { type: "text/csv;charset=utf-8" }), `${run.id}.csv`);
}

function arranged(text: string, shown: Item[]): string {
  const [head = [], ...rows] = Papa.parse<string[]>(text, { skipEmptyLines: true }).data;
  const at = head.indexOf(ITEM_INDEX);
  const rowsOf = new Map<string, string[][]>();
  for (const row of rows) rowsOf.set(row[at]!, [...(rowsOf.get(row[at]!) ?? []), row]);
  const kept = shown.flatMap(({ index }) => rowsOf.get(String(index)) ?? []);
  return `${Papa.unparse([head, ...kept], { newline: "\r\n" })}\r\n`;
}
