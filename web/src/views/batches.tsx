// The batches of this key, whoever sent them, and how far they are.

import { useEffect, useState } from "preact/hooks";
import { key, read } from "../api";
import { tell } from "../app-state";
import { followAgain, leaveBatch, openBatch, runOf } from "../runs";
import type { Batch } from "../types";
import { plural, statusInWords, when } from "../words";
import { type Paged, usePaged } from "./paged";
import { Bar, countsInWords, paceInWords, RunView } from "./run";

export function Batches() {
  const list = usePaged<Batch>("/v1/batches", 20, ({ status }) => status === "running" || status === "awaiting_upload");
  const act = (batch: Batch, what: string) => () =>
    void read<Batch>(`/v1/batches/${batch.id}/${what}`, { method: "POST" }).then(() => {
      followAgain(batch.id);
      list.reload();
    }, tell);
  return (
    <>
      <h1>Batches</h1>
      <Listed list={list} none="No batch was sent yet. Drop several photos at once, or send a zip to /v1/batches.">
        <ul class="batches">
          {list.rows?.map((batch) => (
            <li class="card" key={batch.id} data-id={batch.id}>
              <div class="detail-head">
                <h2><a href={`#/batches/${batch.id}`}>{plural(batch.total, "photo")}</a> <small>{when(batch.created_at)}</small></h2>
                <span class={`pill ${batch.status}`}>{statusInWords(batch.status)}</span>
              </div>
              <Bar share={batch.progress} label={`Progress of the batch of ${when(batch.created_at)}`} />
              <p class="line">
                <span>{Math.round(100 * batch.progress)} % · {countsInWords(batch)}{paceInWords(batch) && ` · ${paceInWords(batch)}`}</span>
                <span class="grow" />
                {(batch.status === "running" || batch.status === "awaiting_upload") && <button type="button" class="chip" onClick={act(batch, "cancel")}>Cancel</button>}
                {batch.counts.failed > 0 && <button type="button" class="chip" onClick={act(batch, "retry")}>Retry {batch.counts.failed} failed</button>}
              </p>
            </li>
          ))}
        </ul>
      </Listed>
    </>
  );
}

/** What every list has: that it is being read, that it cannot be, that there is nothing, and more of it. */
export function Listed<T>({ list, none, children }: { list: Paged<T>; none: string; children: preact.ComponentChildren }) {
  return (
    <>
      {list.trouble && <p class="refused" role="alert">{list.trouble} <button type="button" class="link" onClick={list.reload}>Try now</button></p>}
      {!list.rows && !list.trouble && <p class="quiet" role="status">Reading …</p>}
      {list.rows?.length === 0 && <p class="empty card">{none}</p>}
      {list.rows && list.rows.length > 0 && children}
      {list.next && <p><button type="button" class="chip" onClick={list.more}>Show more</button></p>}
    </>
  );
}

export function BatchPage({ id }: { id: string }) {
  const [trouble, setTrouble] = useState<string | null>(null);
  useEffect(() => {
    setTrouble(null);
    const stop = new AbortController();
    openBatch(id, stop.signal).catch((error: Error) => stop.signal.aborted || setTrouble(error.message));
    return () => {
      stop.abort();
      leaveBatch(id);
    };
  }, [id, key.value]);
  const run = runOf(id);
  return (
    <>
      <h1 class="crumb"><a href="#/batches">Batches</a> › {id}</h1>
      {trouble && <p class="refused" role="alert">{trouble}</p>}
      {!run && !trouble && <p class="quiet" role="status">Reading …</p>}
      {run && <RunView key={run.id} run={run} />}
    </>
  );
}
