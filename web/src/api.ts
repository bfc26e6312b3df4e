// The one door to the service: the key, what went wrong in words, and patience.

import { signal } from "@preact/signals";
import type { ProblemBody } from "./types";
import { duration, errorInWords, isAboutPhotos } from "./words";

const KEY = "facefit_key";
const DEFAULT_RETRY_S = 2;
const LONGEST_RETRY_S = 30;

export const key = signal(sessionStorage.getItem(KEY) ?? "");
/** Whether the service has said that it wants another key than the one it was sent. */
export const keyWanted = signal(false);
/** Whether the service did not answer when it was last asked. */
export const away = signal(false);
/** What it said instead of an answer that is waited for here. */
export const waiting = signal<string | null>(null);

/** Kept for this tab alone, and sent to this service alone. */
export function setKey(given: string): void {
  key.value = given.trim();
  keyWanted.value = false;
  if (key.value) sessionStorage.setItem(KEY, key.value);
  else sessionStorage.removeItem(KEY);
}

export function authorization(): Record<string, string> {
  return key.value ? { Authorization: `Bearer ${key.value}` } : {};
}

export class ServiceError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    /** What happened, without when to try again. */
    readonly plain: string,
    readonly retryAfterS: number | null = null,
  ) {
    super(retryAfterS === null ? plain : `${plain} Try again in ${duration(retryAfterS)}.`);
  }
}

const PASSING: ReadonlySet<number> = new Set([0, 408, 429]);

/** Whether the same request may well be answered a little later. */
export function passes(error: unknown): error is ServiceError {
  return error instanceof ServiceError && (PASSING.has(error.status) || error.status >= 500);
}

/** Leave out what is said to programs: they are told of a header, people how many seconds it is. */
function forPeople(detail: string): string {
  return detail.replace(/ ?[^.]*Retry-After\./, "");
}

export const AWAY = "The service does not answer. Check the connection, or try again in a moment.";

/** Put what the service answered instead of what was asked for into words. */
export function problem(status: number, text: string, retryAfter: string | null, sentKey = key.value): ServiceError {
  if (status === 0) return new ServiceError(0, "away", AWAY);
  let body: Partial<ProblemBody> = {};
  try {
    body = JSON.parse(text) as Partial<ProblemBody>;
  } catch {
    // Something between here and the service answered, and not with a problem.
  }
  const code = body.code ?? `http_${status}`;
  const after = retryAfter === null ? null : Number(retryAfter) || null;
  const fields = body.errors?.map(({ field, message }) => `${field}: ${message}`).join("; ");
  if (status === 401) {
    if (sentKey === key.value) keyWanted.value = true; // else another was given meanwhile, and this is about the old one
    const said = sentKey ? "The service does not know this API key." : "This service needs an API key.";
    return new ServiceError(status, code, `${said} Enter one with “API key” above.`, after);
  }
  if (status === 429) return new ServiceError(status, code, `That is more than your limit allows. ${forPeople(body.detail ?? "")}`, after);
  if (status === 503) return new ServiceError(status, code, `The service is busy or a part of it is away.`, after);
  if (status >= 500) {
    const id = body.request_id ? ` Report this id: ${body.request_id}` : "";
    return new ServiceError(status, code, `The service made a mistake.${id}`, after);
  }
  const said = fields || body.detail || (status === 413 ? "That is more than the service takes at once." : `The service answered ${status}.`);
  return new ServiceError(status, code, isAboutPhotos(code) ? `${errorInWords(code)}. ${said}` : said, after);
}

/** Ask the service; raises `ServiceError` for all that is no success. */
export async function call(path: string, { headers, ...options }: RequestInit = {}): Promise<Response> {
  let response: Response;
  const sentKey = key.value;
  try {
    response = await fetch(path, { ...options, headers: { ...headers, ...authorization() } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    away.value = true;
    throw problem(0, "", null);
  }
  away.value = false;
  if (!response.ok) throw problem(response.status, await response.text(), response.headers.get("Retry-After"), sentKey);
  return response;
}

/** Take in an answer that has begun; one that breaks off is as none. */
async function whole<T>(taking: Promise<T>): Promise<T> {
  try {
    return await taking;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    away.value = true;
    throw problem(0, "", null);
  }
}

export async function read<T>(path: string, options: RequestInit = {}): Promise<T> {
  const response = await call(path, options);
  return whole(response.json() as Promise<T>);
}

export function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop); // a batch is followed for hours, with a pause each second
      resolve();
    }, seconds * 1000);
    signal.addEventListener("abort", stop);
  });
}

/** Ask, and again while the service is away or busy: what was accepted goes on without us. */
async function patiently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    for (let waited = DEFAULT_RETRY_S; ; waited = Math.min(2 * waited, LONGEST_RETRY_S)) {
      try {
        return await ask();
      } catch (error) {
        if (!passes(error)) throw error;
        waiting.value = error.plain;
        await pause(error.retryAfterS ?? waited, signal);
      }
    }
  } finally {
    waiting.value = null;
  }
}

export function readPatiently<T>(path: string, signal: AbortSignal): Promise<T> {
  return patiently(() => read<T>(path, { signal }), signal);
}

/** Read lines of JSON, all of them: begun anew where they break off. */
export function readLinesPatiently<T>(path: string, signal: AbortSignal): Promise<T[]> {
  return patiently(async () => whole(linesOf<T>(await call(path, { signal }))), signal);
}

async function linesOf<T>(response: Response): Promise<T[]> {
  const found: T[] = [];
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : (lines.pop() ?? "");
    for (const line of lines) if (line) found.push(JSON.parse(line) as T);
    if (done) return found;
  }
}

/** Hand a file to the person. Links load without the key, so the bytes are fetched and saved from memory. */
export async function save(path: string, name: string): Promise<void> {
  saveBlob(await (await call(path)).blob(), name);
}

export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
