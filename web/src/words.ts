// What the API names, in words for people.

import type { MeasurementValue } from "./types";

const SPELT: Record<string, string> = {
  interpupillary_distance: "PD, as photographed",
  distance_pd: "PD, far gaze",
  monocular_pd_right: "Right pupil to bridge",
  monocular_pd_left: "Left pupil to bridge",
  biocular_width: "Outer eye corners",
  eye_gap: "Inner eye corners",
  id1_card: "bank card",
  known_pd: "known PD",
  reference_object: "card or marker",
  iris: "iris",
};

export function inWords(name: string): string {
  return SPELT[name] ?? name.replaceAll("_", " ");
}

export function title(name: string): string {
  const words = inWords(name);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const ERRORS: Record<string, string> = {
  no_face: "No face found",
  face_too_small: "Face too small",
  unsupported_format: "Not a photo we can read",
  corrupt_image: "File is damaged",
  image_too_large: "Photo too large",
  image_too_small: "Photo too small",
  reference_not_found: "Card or marker not found",
  requirement_not_met: "Not sure enough",
  upload_missing: "Photo never arrived",
  archive_entry_refused: "File in the zip refused",
  fetch_failed: "Photo could not be fetched",
  fetch_forbidden: "Address not allowed",
  processing_failed: "The service failed",
};

/** Whether it is something about a photo that has words here. */
export function isAboutPhotos(code: string): boolean {
  return code in ERRORS;
}

/** Begin as a sentence does. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

export function errorInWords(code: string): string {
  return ERRORS[code] ?? title(code);
}

const STATUSES: Record<string, string> = {
  awaiting_upload: "Waiting for the photo",
  queued: "Waiting",
  running: "Measuring",
  succeeded: "Measured",
  rejected: "Rejected",
  failed: "Failed",
  cancelled: "Cancelled",
  completed: "Complete",
  pending: "Pending",
  delivered: "Delivered",
};

export function statusInWords(status: string): string {
  return STATUSES[status] ?? title(status);
}

export function fixed(value: number, digits = 1): string {
  return value.toFixed(digits);
}

export function millimetres(value: MeasurementValue): string {
  if (value.mm === null) return "–";
  return value.mm_sd === null ? fixed(value.mm) : `${fixed(value.mm)} ± ${fixed(value.mm_sd)}`;
}

export function verdict({ status, reasons }: { status: string; reasons: string[] }): string {
  if (status === "ok") return "ok";
  return inWords(status) + (reasons.length ? `: ${reasons.map(inWords).join(", ")}` : "");
}

export function duration(seconds: number): string {
  if (seconds < 1) return "less than a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function when(time: string): string {
  return TIME.format(new Date(time));
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
