// What was called back, to whom, how it went, and once more.

import { useState } from "preact/hooks";
import { read } from "../api";
import { tell } from "../app-state";
import type { Attempt, Delivery } from "../types";
import { inWords, plural, statusInWords, when } from "../words";
import { Listed } from "./batches";
import { usePaged } from "./paged";

export function Deliveries() {
  const [status, setStatus] = useState("");
  const list = usePaged<Delivery>(`/v1/deliveries${status && `?status=${status}`}`, 50, (one) => one.status === "pending");
  const redeliver = ({ id }: Delivery) =>
    void read<Delivery>(`/v1/deliveries/${id}/redeliver`, { method: "POST" }).then(() => {
      tell("It is being delivered again.");
      list.reload();
    }, tell);
  return (
    <>
      <h1>Deliveries</h1>
      <p class="quiet">Webhooks: what was sent to the addresses that jobs and batches named, and how often it was tried.</p>
      <div class="line">
        <label>Show{" "}
          <select value={status} onChange={(event) => setStatus(event.currentTarget.value)}>
            <option value="">all</option><option value="pending">pending</option><option value="delivered">delivered</option><option value="failed">failed</option>
          </select>
        </label>
        <span class="grow" />
        <TestForm onSent={list.reload} />
      </div>
      <Listed list={list} none="No delivery yet. Name a “Call back at” address with a photo, or send a test event.">
        <ul class="deliveries">
          {list.rows?.map((delivery) => <One key={delivery.id} delivery={delivery} redeliver={redeliver} />)}
        </ul>
      </Listed>
    </>
  );
}

function TestForm({ onSent }: { onSent: () => void }) {
  const [url, setUrl] = useState("");
  const send = (event: Event) => {
    event.preventDefault();
    read<Delivery>("/v1/webhooks/test", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ url }) }).then(
      () => {
        tell("A test event is on its way.");
        onSent();
      },
      tell,
    );
  };
  return (
    <form class="line test-event" onSubmit={send}>
      <label>Test event to <input type="url" required placeholder="https://…" value={url} onInput={(event) => setUrl(event.currentTarget.value)} /></label>
      <button type="submit" class="chip">Send</button>
    </form>
  );
}

function One({ delivery, redeliver }: { delivery: Delivery; redeliver: (delivery: Delivery) => void }) {
  const { event, url, status, attempts, next_attempt_at } = delivery;
  const about = delivery.batch_id && !delivery.job_id ? <a href={`#/batches/${delivery.batch_id}`}>{delivery.batch_id}</a> : delivery.job_id;
  return (
    <li class="card" data-id={delivery.id}>
      <div class="detail-head">
        <h2>{event} <small>{when(delivery.created_at)}</small></h2>
        <span class={`pill ${status}`}>{statusInWords(status)}</span>
        <button type="button" class="chip" onClick={() => redeliver(delivery)}>Redeliver</button>
      </div>
      <p class="address">to <code>{url}</code>{about && <> about {about}</>}</p>
      {next_attempt_at && <p class="quiet">Next attempt: {when(next_attempt_at)}</p>}
      <details>
        <summary>{plural(attempts.length, "attempt")}</summary>
        {attempts.length > 0 && (
          <div class="scroll" tabIndex={0} role="region" aria-label={`Attempts at ${event}`}>
            <table>
              <thead><tr><th scope="col">When</th><th scope="col">Answer</th><th scope="col" class="number">Took</th></tr></thead>
              <tbody>{attempts.map((attempt) => <tr key={attempt.at}><td>{when(attempt.at)}</td><td>{answer(attempt)}</td><td class="number">{attempt.duration_ms === null ? "–" : `${attempt.duration_ms} ms`}</td></tr>)}</tbody>
            </table>
          </div>
        )}
      </details>
    </li>
  );
}

const TROUBLES: Record<string, string> = {
  redirect: "a redirect, which is not followed",
  look_up: "its name has no address",
  connect: "no connection",
  tls: "its certificate was not accepted",
  timeout: "no answer in time",
  broken: "the connection broke off",
  interrupted: "not known whether it arrived",
};

function answer({ status_code, error }: Attempt): string {
  const said = error === null || error === "status" ? "" : (TROUBLES[error] ?? inWords(error));
  return [status_code, said].filter(Boolean).join(": ") || "under way";
}
