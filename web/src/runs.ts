// What was sent from this tab, or opened from the list of batches, and how far it is.

import { signal } from "@preact/signals";
import { call, pause, read, readLinesPatiently, readPatiently } from "./api";
import type { Batch, Job, JobError, JobResult, JobStatus, ResultLine, Summary } from "./types";

export interface Item {
  index: number;
  name: string;
  jobId: string | null;
  status: JobStatus;
  errorCode: string | null;
  error: JobError | null;
  result: JobResult | null;
  file: File | null;
  queuePosition: number | null;
  expiresAt: string | null;
  /** Whether the job itself was read, with its landmarks or what was wrong; lists of results have neither. */
  isRead: boolean;
}

export interface Run {
  id: string;
  kind: "job" | "batch";
  items: Item[];
  batch: Batch | null;
  summary: Summary | null;
  /** Whether the values of every item that has ended are here. */
  isWhole: boolean;
  trouble: string | null;
  label: string;
  /** Whether it was sent from this tab; else it was opened from the list, and is left with its page. */
  isOwn: boolean;
}

const POLL_S = 1;
const POLL_UNSEEN_S = 5;
const WAIT_S = 10;
/** Between two questions that the service held until there was news, or its time was up. */
const BREATH_S = 0.2;
/** Up to here the values are shown as they come; of a larger batch once it is complete, as they are 3 kB to a photo. */
const SHOWN_LIVE = 300;

export const runs = signal<Run[]>([]);
export const current = signal<string | null>(null);
export const opened = signal<{ run: string; index: number } | null>(null);
const followers = new Map<string, AbortController>();

export const OPEN: ReadonlySet<JobStatus> = new Set<JobStatus>(["awaiting_upload", "queued", "running"]);

export function runOf(id: string | null): Run | undefined {
  return runs.value.find((run) => run.id === id);
}

function pollS(): number {
  return document.hidden ? POLL_UNSEEN_S : POLL_S;
}

function change(id: string, changes: Partial<Run>): void {
  runs.value = runs.value.map((run) => (run.id === id ? { ...run, ...changes } : run));
}

function changeItems(id: string, changed: Map<number, Partial<Item>>): void {
  const run = runOf(id);
  if (run) change(id, { items: run.items.map((item) => ({ ...item, ...changed.get(item.index) })) });
}

function itemOf(index: number, name: string, file: File | null): Item {
  return { index, name, file, jobId: null, status: "queued", errorCode: null, error: null, result: null, queuePosition: null, expiresAt: null, isRead: false };
}

function begin(run: Run, follow: (run: Run, signal: AbortSignal) => Promise<void>): void {
  runs.value = [run, ...runs.value.filter(({ id }) => id !== run.id)];
  const stop = new AbortController();
  followers.get(run.id)?.abort();
  followers.set(run.id, stop);
  follow(run, stop.signal).catch((error: Error) => {
    if (!stop.signal.aborted) change(run.id, { trouble: error.message });
  });
}

function fromJob(job: Job): Partial<Item> {
  const { id, status, error, result, queue_position, expires_at } = job;
  const errorCode = error?.code ?? null;
  return { jobId: id, status, error, errorCode, result, queuePosition: queue_position, expiresAt: expires_at, isRead: !OPEN.has(status) };
}

export function beginJob(job: Job, file: File): void {
  const run: Run = {
    id: job.id, kind: "job", items: [{ ...itemOf(0, file.name, file), ...fromJob(job) }],
    batch: null, summary: null, isWhole: false, trouble: null, label: file.name, isOwn: true,
  };
  begin(run, followJob);
  current.value = run.id;
  opened.value = { run: run.id, index: 0 };
}

async function followJob(run: Run, signal: AbortSignal): Promise<void> {
  for (let job: Job; ; ) {
    const askedMs = performance.now();
    job = await readPatiently<Job>(`/v1/jobs/${run.id}?wait=${WAIT_S}`, signal);
    changeItems(run.id, new Map([[0, fromJob(job)]]));
    if (!OPEN.has(job.status)) break;
    // A service that has no place for one more who waits answers at once.
    const isHeld = performance.now() - askedMs > 1000 * POLL_S;
    await pause(isHeld ? BREATH_S : pollS(), signal);
  }
  change(run.id, { isWhole: true });
}

export function beginBatch(batch: Batch, files: File[]): void {
  const items = files.map((file, index) => itemOf(index, file.name, file));
  begin({ id: batch.id, kind: "batch", items, batch, summary: null, isWhole: false, trouble: null, label: `${files.length} photos`, isOwn: true }, followBatch);
  current.value = batch.id;
  opened.value = null;
}

/** Read a batch that may have come from anywhere: its photos are not here then. */
export async function openBatch(id: string, signal: AbortSignal): Promise<void> {
  opened.value = null;
  const known = runOf(id);
  if (known?.trouble) followAgain(id); // it was given up
  if (known) return;
  const batch = await readPatiently<Batch>(`/v1/batches/${encodeURIComponent(id)}`, signal);
  signal.throwIfAborted();
  begin({ id: batch.id, kind: "batch", items: [], batch, summary: null, isWhole: false, trouble: null, label: `${batch.total} photos`, isOwn: false }, followBatch);
}

/** Forget a batch that was looked at; what was sent from this tab stays. */
export function leaveBatch(id: string): void {
  opened.value = null;
  if (runOf(id)?.isOwn === false) drop(id);
}

/** Follow a batch once more: some of its photos are measured again. */
export function followAgain(id: string): void {
  const run = runOf(id);
  if (run) begin({ ...run, isWhole: false, summary: null, trouble: null }, followBatch);
}

async function followBatch(run: Run, signal: AbortSignal): Promise<void> {
  for (let seen = -1; ; await pause(pollS(), signal)) {
    const batch = await readPatiently<Batch>(`/v1/batches/${run.id}`, signal);
    const { succeeded, rejected, failed, cancelled } = batch.counts;
    const ended = succeeded + rejected + failed + cancelled;
    const isOver = ended === batch.total;
    change(run.id, { batch });
    if (ended !== seen && (isOver || batch.total <= SHOWN_LIVE)) await readResults(run.id, signal);
    seen = ended;
    if (isOver) break;
  }
  const summary = await readPatiently<Summary>(`/v1/batches/${run.id}/summary`, signal);
  change(run.id, { isWhole: true, summary });
}

/** Read what there is of every item. */
async function readResults(id: string, signal: AbortSignal): Promise<void> {
  const lines = await readLinesPatiently<ResultLine>(`/v1/batches/${id}/results?include=all`, signal);
  // With what is known now, not what was when the reading began: meanwhile somebody may have opened a photo.
  const known = new Map(runOf(id)?.items.map((item) => [item.index, item]));
  const items = lines.map((line) => withLine(known.get(line.item_index) ?? itemOf(line.item_index, line.reference ?? `Photo ${line.item_index + 1}`, null), line));
  change(id, { items: items.sort((one, other) => one.index - other.index) });
}

function withLine(item: Item, { job_id, status, error_code, result }: ResultLine): Item {
  const isRead = item.isRead && item.status === status; // else it was measured again
  const found = isRead ? {} : { result, error: null };
  return { ...item, ...found, isRead, jobId: job_id, status, errorCode: error_code };
}

/** Read one item whole, its landmarks included, and keep it for the next time. */
export async function readItem(runId: string, index: number, signal: AbortSignal): Promise<void> {
  const item = runOf(runId)?.items.find((one) => one.index === index);
  if (!item?.jobId || item.isRead || OPEN.has(item.status)) return;
  const job = await readPatiently<Job>(`/v1/jobs/${item.jobId}`, signal);
  changeItems(runId, new Map([[index, fromJob(job)]]));
}

function drop(id: string): void {
  followers.get(id)?.abort();
  followers.delete(id);
  runs.value = runs.value.filter((run) => run.id !== id);
  if (current.value === id) current.value = null;
  if (opened.value?.run === id) opened.value = null;
}

export async function deleteRun(run: Run): Promise<void> {
  await call(`/v1/${run.kind === "job" ? "jobs" : "batches"}/${run.id}`, { method: "DELETE" });
  drop(run.id);
}

export async function cancelRun(run: Run): Promise<void> {
  const batch = await read<Batch>(`/v1/batches/${run.id}/cancel`, { method: "POST" });
  change(run.id, { batch });
}

/** Forget what another key may not see. */
export function dropAll(): void {
  for (const run of runs.value) drop(run.id);
}
