// The person's own photos, as the browser can show them: they are never asked back from the service.

import { call } from "./api";

export interface Shown {
  url: string;
  /** Whether it is the person's own file; else it is the service's preview, already upright and turned back. */
  isOwn: boolean;
}

async function shown(blob: Blob, isOwn: boolean): Promise<Shown | null> {
  const url = URL.createObjectURL(blob);
  try {
    await Object.assign(new Image(), { src: url }).decode();
    return { url, isOwn };
  } catch {
    URL.revokeObjectURL(url); // HEIC, where the browser has no decoder
    return null;
  }
}

/** Return the photo to draw on: the person's own file, or the service's preview if it was kept, or nothing. */
export async function photoOf(file: File | null, jobId: string | null): Promise<Shown | null> {
  const own = file && (await shown(file, true));
  if (own || !jobId) return own;
  return previewOf(jobId);
}

async function previewOf(jobId: string): Promise<Shown | null> {
  try {
    const text = await (await call(`/v1/jobs/${jobId}/overlay.svg?legend=false`)).text();
    const image = new DOMParser().parseFromString(text, "image/svg+xml").querySelector("image");
    const data = image?.getAttribute("href")?.split("base64,")[1];
    if (!data) return null;
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    return await shown(new Blob([bytes], { type: "image/jpeg" }), false);
  } catch {
    return null; // the drawing goes without a photo, and says so
  }
}
