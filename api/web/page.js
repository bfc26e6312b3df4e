"use strict";

const element = (id) => document.getElementById(id);
const rounded = (number) => number.toFixed(1);
const words = (name) => name.replaceAll("_", " ");

function say(text, isProblem = false) {
  element("status").textContent = text;
  element("status").classList.toggle("problem", isProblem);
}

// Kept for this tab alone, and sent to this service alone.
const KEY = "facefit_key";
const NEEDS_KEY = 401;

async function call(path, { headers = {}, ...options } = {}) {
  const key = sessionStorage.getItem(KEY);
  const authorization = key ? { Authorization: `Bearer ${key}` } : {};
  const response = await fetch(path, { ...options, headers: { ...headers, ...authorization } });
  if (response.status === NEEDS_KEY) element("key_row").hidden = false;
  return response;
}

// What a link or an image loads by itself comes without the key, so it is fetched and shown from memory.
async function blobUrl(path) {
  const response = await call(path);
  if (!response.ok) throw new Error((await response.json()).detail);
  return URL.createObjectURL(await response.blob());
}

async function follow(event) {
  event.preventDefault();
  const link = event.currentTarget;
  try {
    const url = await blobUrl(link.getAttribute("href"));
    const made = Object.assign(document.createElement("a"), { href: url, target: "_blank" });
    if (link.hasAttribute("download")) made.download = link.getAttribute("href").split("/").pop();
    made.click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  } catch (error) {
    say(error.message, true);
  }
}

async function showOverlay(path) {
  URL.revokeObjectURL(element("overlay").src);
  element("overlay").removeAttribute("src");  // never that of the photo before
  element("overlay").src = await blobUrl(path);
}

async function readJob(response) {
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail);
  return body;
}

function options() {
  const given = new FormData(element("form"));
  for (const [name, value] of [...given]) if (value === "") given.delete(name);
  if (!given.has("reference_object")) given.delete("reference_object_placement");
  return given;
}

async function measure(file) {
  element("result").hidden = true;
  say("Sending …");
  const form = options();
  form.append("image", file);
  form.append("keep_image", "true");
  let job = await readJob(await call("/v1/jobs", { method: "POST", body: form, headers: { Prefer: "wait=10" } }));
  while (["queued", "running"].includes(job.status)) {
    say(job.queue_position ? `Waiting, number ${job.queue_position} in the queue …` : "Measuring …");
    job = await readJob(await call(`/v1/jobs/${job.id}?wait=10`));
  }
  if (job.status !== "succeeded") {
    const hints = job.error.retake.map((hint) => hint.message);
    throw new Error([job.error.message, ...hints].join(" "));
  }
  await show(job);
}

function verdict({ status, reasons }) {
  return words(status) + (reasons.length ? `: ${reasons.map(words).join(", ")}` : "");
}

function facts({ scale, pose, quality }) {
  const said = [`Quality ${quality.score} of 100.`];
  if (scale) {
    const share = ((100 * scale.sd) / scale.mm_per_px).toFixed(1);
    said.push(`Scale by ${words(scale.source)}, ± ${share} % (${verdict(scale)}).`);
    said.push(`About ${Math.round(scale.distance_mm / 10)} cm from the camera.`);
  } else {
    said.push("Nothing in the photo gives a scale: pixels only.");
  }
  const turned = ["yaw", "pitch", "roll"].map((angle) => `${angle} ${Math.round(pose[`${angle}_deg`])}°`);
  return `${said.join(" ")} Head: ${turned.join(", ")}.`;
}

function row([key, value], index) {
  const made = document.createElement("tr");
  const millimetres = [value.mm, value.mm_sd].filter((number) => number !== null).map(rounded).join(" ± ");
  for (const text of [index + 1, words(key), millimetres || "–", value.px === null ? "–" : rounded(value.px), verdict(value)]) {
    made.insertCell().textContent = text;
  }
  made.className = value.status;
  return made;
}

function hint({ message }) {
  const made = document.createElement("li");
  made.textContent = message;
  return made;
}

async function show(job) {
  const where = `/v1/jobs/${job.id}`;
  const face = job.result.faces[0];
  element("json").href = where;
  element("obj").href = `${where}/mesh.obj`;
  element("ply").href = `${where}/mesh.ply`;
  element("facts").textContent = facts(face);
  element("hints").replaceChildren(...face.quality.retake.map(hint));
  element("advice").hidden = !face.quality.retake.length;
  element("measurements").replaceChildren(...Object.entries(face.measurements).map(row));
  element("delete").onclick = async () => {
    const response = await call(where, { method: "DELETE" });
    element("result").hidden = true;
    say(response.ok ? "Deleted." : "It could not be deleted now; try again.", !response.ok);
  };
  element("result").hidden = false;
  say(`Measured: ${job.result.image.width} × ${job.result.image.height} pixels.`);
  await showOverlay(`${where}/overlay.svg`);
}

element("form").addEventListener("submit", (event) => event.preventDefault());
element("photo").addEventListener("change", async (event) => {
  const file = event.target.files[0];
  if (!file) return;
  try {
    await measure(file);
  } catch (error) {
    say(error.message, true);
  }
  event.target.value = "";
});
for (const name of ["obj", "ply", "json", "meaning"]) element(name).addEventListener("click", follow);
element("api_key").addEventListener("change", (event) => {
  sessionStorage.setItem(KEY, event.target.value.trim());
  say("");
});
element("key_row").hidden = !sessionStorage.getItem(KEY);
