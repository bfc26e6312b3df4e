// How each measurement is distributed over the photos that the table shows.

import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { definitions, theme } from "../app-state";
import type { Item, Run } from "../runs";
import type { SummaryOfMeasurement } from "../types";
import { fixed, plural, title } from "../words";
import { faceOf } from "./rows";

const HEIGHT = 130;
const NICE_WIDTHS_MM = [0.5, 1, 2, 5, 10, 20, 50];
const MOST_BINS = 14;

export interface Bins {
  width: number;
  starts: number[];
  counts: number[];
}

export function binsOf(values: number[]): Bins {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const width = NICE_WIDTHS_MM.find((wide) => (high - low) / wide < Math.min(MOST_BINS, 3 + Math.sqrt(values.length) * 1.5)) ?? 100;
  const first = Math.floor(low / width) * width;
  const counts: number[] = Array.from({ length: Math.floor((high - first) / width) + 1 }, () => 0);
  for (const value of values) counts[Math.min(counts.length - 1, Math.floor((value - first) / width))]!++;
  return { width, counts, starts: counts.map((_, n) => first + n * width) };
}

export function Histograms({ run, items }: { run: Run; items: Item[] }) {
  const isAll = items.length === run.items.length;
  const found = useMemo(
    () =>
      definitions.value.map(({ key }) => ({
        key,
        values: items.flatMap((item) => {
          const value = faceOf(item)?.measurements[key];
          return value?.status === "ok" && value.mm !== null ? [value.mm] : [];
        }),
      })),
    [items, definitions.value],
  );
  const shown = found.filter(({ values }) => values.length > 0);
  const bare = found.filter(({ values }) => values.length === 0);
  if (!found.some(({ values }) => values.length > 1)) return null;
  return (
    <section class="histograms" aria-labelledby="histograms-title">
      <h3 id="histograms-title">How they are distributed</h3>
      <p class="quiet">Values that are ok, of the largest face of {isAll ? "each photo" : "each photo that the table shows"}, in millimetres.</p>
      <div class="plots">
        {shown.map(({ key, values }) => <Histogram key={key} name={key} values={values} summary={isAll ? run.summary?.measurements[key] : undefined} />)}
      </div>
      {bare.length > 0 && <p class="quiet without">No photo has an ok value of: {bare.map(({ key }) => title(key)).join(", ")}. The verdicts in the table say why.</p>}
    </section>
  );
}

function Histogram({ name, values, summary }: { name: string; values: number[]; summary: SummaryOfMeasurement | undefined }) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const sd = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
  const people = summary?.sd_true_estimate;
  return (
    <figure data-key={name} data-count={values.length}>
      <figcaption>
        <strong>{title(name)}</strong>
        {values.length > 1 ? <span>{fixed(mean)} ± {fixed(sd)} <small>n = {values.length}</small></span> : <span class="quiet">one value</span>}
        {people != null && <small>people differ by ± {fixed(people)}, errors taken out</small>}
      </figcaption>
      {values.length > 1 && <Plot name={name} values={values} />}
    </figure>
  );
}

function Plot({ name, values }: { name: string; values: number[] }) {
  const target = useRef<HTMLDivElement>(null);
  const bins = useMemo(() => binsOf(values), [values]);
  const dressed = theme.value;
  useEffect(() => {
    const element = target.current!;
    const style = getComputedStyle(element);
    const [ink, line, accent] = ["--quiet", "--line", "--accent"].map((variable) => resolved(element, style.getPropertyValue(variable)));
    const axis = { stroke: ink!, font: "11px system-ui, sans-serif", ticks: { show: false }, grid: { stroke: line!, width: 1 } };
    const middles = bins.starts.map((start) => start + bins.width / 2);
    const plot = new uPlot(
      {
        width: element.clientWidth || 240, height: HEIGHT, legend: { show: false }, cursor: { show: false }, padding: [8, 6, 0, 0],
        scales: { x: { time: false, range: [bins.starts[0]! - bins.width / 2, bins.starts.at(-1)! + 1.5 * bins.width] }, y: { range: (_, __, most) => [0, Math.max(most, 1)] } },
        axes: [{ ...axis, grid: { show: false }, size: 24, space: 36 }, { ...axis, size: 30, space: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000] }],
        series: [{}, { fill: accent!, stroke: accent!, width: 0, points: { show: false }, paths: uPlot.paths.bars!({ size: [0.92, 200], align: 0 }) }],
      },
      [middles, bins.counts],
      element,
    );
    const watcher = new ResizeObserver(([entry]) => plot.setSize({ width: Math.max(80, entry!.contentRect.width), height: HEIGHT }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      plot.destroy();
    };
  }, [bins, dressed]);
  const said = bins.counts.map((count, n) => `${bins.starts[n]} to ${bins.starts[n]! + bins.width}: ${count}`).join("; ");
  return <div class="plot" ref={target} role="img" aria-label={`Histogram of ${title(name)}, ${plural(values.length, "value")}. ${said}`} />;
}

/** Have the browser say which colour `light-dark(…)` is now. */
function resolved(element: HTMLElement, colour: string): string {
  const probe = element.appendChild(document.createElement("i"));
  probe.style.color = colour;
  const said = getComputedStyle(probe).color;
  probe.remove();
  return said;
}
