// Many photos as a table: sorted by any column, filtered, exported, and a histogram of each measurement below it.

import { useMemo, useState } from "preact/hooks";
import { definitions, tell } from "../app-state";
import { type Item, OPEN, opened, type Run } from "../runs";
import { errorInWords, fixed, inWords, plural, statusInWords, title, verdict } from "../words";
import { levelOf } from "./detail";
import { Histograms } from "./histograms";
import { EVERYTHING, faceOf, type Filter, filtered, type Order, saveCsv, sorted } from "./rows";
import { Thumb } from "./thumb";

const PAGE = 50;

export function Table({ run }: { run: Run }) {
  const [filter, setFilter] = useState<Filter>(EVERYTHING);
  const [order, setOrder] = useState<Order>({ by: null, isDown: false });
  const [page, setPage] = useState(0);
  const shown = useMemo(() => sorted(filtered(run.items, filter), order), [run.items, filter, order]);
  const last = Math.max(0, Math.ceil(shown.length / PAGE) - 1);
  const first = Math.min(page, last) * PAGE;
  const change = (changes: Partial<Filter>) => {
    setFilter({ ...filter, ...changes });
    setPage(0);
  };
  return (
    <>
      <Filters {...{ run, filter, change }} />
      <div class="above-table">
        <p role="status">{shown.length === run.items.length ? plural(shown.length, "photo") : `${shown.length} of ${plural(run.items.length, "photo")}`}</p>
        {filter !== EVERYTHING && <button type="button" class="chip" onClick={() => { setFilter(EVERYTHING); setPage(0); }}>Show all</button>}
        <span class="grow" />
        {order.by && <button type="button" class="chip" onClick={() => setOrder({ by: null, isDown: false })}>As sent</button>}
        <button type="button" class="chip" disabled={!run.isWhole || !shown.length} onClick={() => void saveCsv(run, shown).catch(tell)}>
          Export CSV
        </button>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of photos, scrolls sideways">
        <table class="photos">
          <caption class="unseen">Photos and what was measured on the largest face of each, in millimetres</caption>
          <Head order={order} setOrder={setOrder} />
          <tbody>{shown.slice(first, first + PAGE).map((item) => <Row key={item.index} run={run} item={item} />)}</tbody>
        </table>
      </div>
      {!shown.length && <p class="empty">No photo is like that. <button type="button" class="link" onClick={() => setFilter(EVERYTHING)}>Show all</button></p>}
      {last > 0 && (
        <nav class="pages" aria-label="Pages of the table">
          <button type="button" class="chip" disabled={first === 0} onClick={() => setPage(first / PAGE - 1)}>← Previous</button>
          <span>{first + 1}–{Math.min(first + PAGE, shown.length)} of {shown.length}</span>
          <button type="button" class="chip" disabled={first / PAGE === last} onClick={() => setPage(first / PAGE + 1)}>Next →</button>
        </nav>
      )}
      <Histograms run={run} items={shown} />
    </>
  );
}

function Filters({ run, filter, change }: { run: Run; filter: Filter; change: (changes: Partial<Filter>) => void }) {
  const statuses = [...new Set(run.items.map(({ status }) => status))];
  const codes = [...new Set(run.items.flatMap(({ errorCode }) => (errorCode ? [errorCode] : [])))];
  const valueOf = (event: Event) => (event.currentTarget as HTMLInputElement | HTMLSelectElement).value;
  return (
    <form class="filters" aria-label="Filter the table" onSubmit={(event) => event.preventDefault()}>
      <label>Name <input type="search" value={filter.text} onInput={(event) => change({ text: valueOf(event) })} /></label>
      <label>Status{" "}
        <select value={filter.status} onChange={(event) => change({ status: valueOf(event) })}>
          <option value="">any</option>
          {statuses.map((status) => <option key={status} value={status}>{statusInWords(status)}</option>)}
          {codes.map((code) => <option key={code} value={code}>{errorInWords(code)}</option>)}
        </select>
      </label>
      <label>Value{" "}
        <select value={filter.key} onChange={(event) => change({ key: valueOf(event) })}>
          <option value="">any</option>
          <option value="quality">Quality</option>
          {definitions.value.map(({ key }) => <option key={key} value={key}>{title(key)}</option>)}
        </select>
      </label>
      {filter.key && (
        <>
          <label>from <input type="number" class="short" value={filter.from} onInput={(event) => change({ from: valueOf(event) })} /></label>
          <label>to <input type="number" class="short" value={filter.to} onInput={(event) => change({ to: valueOf(event) })} /></label>
        </>
      )}
    </form>
  );
}

function Head({ order, setOrder }: { order: Order; setOrder: (order: Order) => void }) {
  const columns: [string, string][] = [["name", "Photo"], ["status", "Status"], ["quality", "Quality"], ["scale", "Scale"], ...definitions.value.map(({ key }): [string, string] => [key, title(key)])];
  return (
    <thead>
      <tr>
        {columns.map(([by, label], index) => {
          const isBy = order.by === by;
          return (
            <th key={by} scope="col" class={index > 3 || by === "quality" ? "number" : ""} aria-sort={isBy ? (order.isDown ? "descending" : "ascending") : "none"}>
              <button type="button" class="sorter" onClick={() => setOrder({ by, isDown: isBy && !order.isDown })}>
                {label}<span aria-hidden="true">{isBy ? (order.isDown ? " ▼" : " ▲") : ""}</span>
              </button>
            </th>
          );
        })}
      </tr>
    </thead>
  );
}

function Row({ run, item }: { run: Run; item: Item }) {
  const face = faceOf(item);
  const isOpened = opened.value?.run === run.id && opened.value.index === item.index;
  return (
    <tr class={isOpened ? "opened" : ""} data-index={item.index}>
      <th scope="row">
        <button type="button" class="link photo-name" aria-expanded={isOpened} onClick={() => (opened.value = { run: run.id, index: item.index })}>
          <Thumb file={item.file} /><span>{item.name}</span>
        </button>
      </th>
      <td>
        <span class={`pill ${item.status}`}>{OPEN.has(item.status) && <span class="spinner small" aria-hidden="true" />}{item.errorCode ? errorInWords(item.errorCode) : statusInWords(item.status)}</span>
      </td>
      <td class="number">{face ? <span class={levelOf(face.quality.score)}>{face.quality.score}</span> : ""}</td>
      <td>{face?.scale ? <span class={face.scale.status === "ok" ? "" : "doubt"} title={verdict(face.scale)}>{inWords(face.scale.source)}</span> : ""}</td>
      {definitions.value.map(({ key }) => {
        const value = face?.measurements[key];
        if (!value) return <td key={key} />;
        const isOk = value.status === "ok";
        return (
          <td key={key} class={`number ${value.status}`} title={isOk ? undefined : verdict(value)}>
            {value.mm === null ? "–" : fixed(value.mm)}
            {value.mm_sd !== null && value.mm !== null && <small> ± {fixed(value.mm_sd)}</small>}
            {!isOk && <span class="mark"><span aria-hidden="true">*</span><span class="unseen">{verdict(value)}</span></span>}
          </td>
        );
      })}
    </tr>
  );
}
