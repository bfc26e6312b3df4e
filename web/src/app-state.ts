// What every view may know: where the person is, what the measurements mean, and what there is to tell.

import { signal } from "@preact/signals";
import { read } from "./api";
import type { Definition } from "./types";

export const definitions = signal<Definition[]>([]);
export const notice = signal<{ text: string; isBad: boolean } | null>(null);

/** Tell what was done, or what went wrong. */
export function tell(what: string | Error | null): void {
  const isBad = what instanceof Error;
  const text = isBad ? what.message : what;
  notice.value = text ? { text, isBad } : null;
}

/** Where the person is; ids may stand here, keys never. */
export const place = signal(location.hash);
addEventListener("hashchange", () => {
  place.value = location.hash;
});

/** Go somewhere at once: what is told from now on is told there. */
export function go(hash: string): void {
  location.hash = hash;
  place.value = hash;
}

let reading: Promise<void> | null = null;

/** Read what the measurements are, unless that is known or being read. */
export function loadDefinitions(): Promise<void> {
  if (definitions.peek().length) return Promise.resolve();
  reading ??= read<{ data: Definition[] }>("/v1/measurements")
    .then(({ data }) => {
      definitions.value = data;
    })
    .catch(() => {
      // The key is asked for, or the service is away: both are said elsewhere, and this is asked again with the next photo.
    })
    .finally(() => {
      reading = null;
    });
  return reading;
}

export type Theme = "light" | "dark";
const THEME = "facefit_theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const chosen = signal<Theme | null>(localStorage.getItem(THEME) as Theme | null);
export const theme = signal<Theme>("light");

function dress(): void {
  theme.value = chosen.value ?? (dark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = theme.value;
}

dark.addEventListener("change", dress);
dress();

export function changeTheme(): void {
  chosen.value = theme.value === "dark" ? "light" : "dark";
  localStorage.setItem(THEME, chosen.value);
  dress();
}
