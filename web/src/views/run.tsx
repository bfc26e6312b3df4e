// What was sent: a single photo, or a batch with its progress, its table and the photo that is open.

import { go, place, tell } from "../app-state";
import { cancelRun, current, deleteRun, opened, type Run, runs } from "../runs";
import { save } from "../api";
import { duration, plural, statusInWords } from "../words";
import { Detail, Stepper } from "./detail";
import { Table } from "./table";

export function RunView({ run }: { run: Run }) {
  const item = opened.value?.run === run.id ? run.items.find(({ index }) => index === opened.value!.index) : undefined;
  if (run.kind === "job") {
    return (
      <>
        {run.trouble && <Trouble text={run.trouble} />}
        {run.items[0] && <Detail run={run} item={run.items[0]}><DeleteButton run={run} what="this photo's result" /></Detail>}
      </>
    );
  }
  return (
    <section class="card" aria-labelledby="batch-title">
      <BatchHead run={run} />
      {run.trouble && <Trouble text={run.trouble} />}
      {item && <Detail run={run} item={item}><Stepper run={run} item={item} /></Detail>}
      {run.items.length > 0 ? <Table run={run} /> : <p class="quiet">{run.batch?.total ? "The results are shown once all photos are measured." : "Nothing is in this batch."}</p>}
    </section>
  );
}

function Trouble({ text }: { text: string }) {
  return <p class="refused" role="alert">{text}</p>;
}

export function RunPicker() {
  const own = runs.value.filter(({ isOwn }) => isOwn);
  if (own.length < 2) return null;
  return (
    <div class="toolbar" role="group" aria-label="Measured in this tab">
      <span class="quiet">Measured in this tab:</span>
      {own.map((run) => (
        <button type="button" class="chip" key={run.id} aria-pressed={run.id === current.value} onClick={() => {
          current.value = run.id;
          opened.value = run.kind === "job" ? { run: run.id, index: 0 } : null;
        }}>{run.label}</button>
      ))}
    </div>
  );
}

export function Bar({ share, label }: { share: number; label: string }) {
  return <progress max={1} value={share} aria-label={label}>{Math.round(100 * share)} %</progress>;
}

export function paceInWords(batch: NonNullable<Run["batch"]>): string {
  if (batch.status === "completed" || batch.status === "cancelled") return "";
  const pace = batch.images_per_second ? `${batch.images_per_second.toFixed(1)} photos a second` : "";
  const rest = batch.eta_s === null ? "" : `${duration(batch.eta_s)} to go`;
  return [pace, rest].filter(Boolean).join(", ");
}

export function countsInWords(batch: NonNullable<Run["batch"]>): string {
  return Object.entries(batch.counts).flatMap(([status, count]) => (count ? [`${count} ${statusInWords(status).toLowerCase()}`] : [])).join(", ");
}

function BatchHead({ run }: { run: Run }) {
  const batch = run.batch!;
  const isOver = batch.status === "completed" || batch.status === "cancelled";
  const on = (what: () => Promise<void>) => () => void what().catch(tell);
  return (
    <>
      <header class="detail-head">
        <h2 id="batch-title">{plural(batch.total, "photo")}</h2>
        {!isOver && <button type="button" class="chip" onClick={on(() => cancelRun(run))}>Cancel the rest</button>}
        <button type="button" class="chip" disabled={!run.isWhole} onClick={on(() => save(`/v1/batches/${run.id}/results`, `${run.id}.ndjson`))}>JSON lines</button>
        <DeleteButton run={run} what="these photos and results" />
      </header>
      <div class="whole">
        <Bar share={batch.progress} label="How much of the batch is measured" />
        <p role="status">{statusInWords(batch.status)}: {countsInWords(batch)}{paceInWords(batch) && ` · ${paceInWords(batch)}`}</p>
      </div>
    </>
  );
}

function DeleteButton({ run, what }: { run: Run; what: string }) {
  const remove = () => {
    if (!confirm(`Delete ${what} from the service now? It cannot be undone.`)) return;
    deleteRun(run).then(() => {
      if (place.value.endsWith(run.id)) go("#/batches"); // its own page has nothing to show any more
      tell("Deleted. The bytes leave the service's files within 15 minutes.");
    }, tell);
  };
  return <button type="button" class="chip danger" onClick={remove}>Delete now</button>;
}
