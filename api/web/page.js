"use strict";

const element = (id) => document.getElementById(id);

function say(text, isProblem = false) {
  element("status").textContent = text;
  element("status").classList.toggle("problem", isProblem);
}

async function readJob(response) {
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail);
  return body;
}

async function measure(file) {
  element("result").hidden = true;
  say("Sending …");
  const form = new FormData();
  form.append("image", file);
  form.append("keep_image", "true");
  let job = await readJob(await fetch("/v1/jobs", { method: "POST", body: form, headers: { Prefer: "wait=10" } }));
  while (["queued", "running"].includes(job.status)) {
    say(job.queue_position ? `Waiting, number ${job.queue_position} in the queue …` : "Measuring …");
    job = await readJob(await fetch(`/v1/jobs/${job.id}?wait=10`));
  }
  if (job.status !== "succeeded") {
    const hints = job.error.retake.map((hint) => hint.message);
    throw new Error([job.error.message, ...hints].join(" "));
  }
  show(job);
}

function show(job) {
  element("overlay").src = `/v1/jobs/${job.id}/overlay.svg`;
  element("json").href = `/v1/jobs/${job.id}`;
  element("measurements").replaceChildren(
    ...Object.entries(job.result.faces[0].measurements).map(([key, value]) => {
      const row = document.createElement("tr");
      for (const text of [key.replaceAll("_", " "), value.px.toFixed(1)]) row.insertCell().textContent = text;
      return row;
    }),
  );
  element("delete").onclick = async () => {
    const response = await fetch(`/v1/jobs/${job.id}`, { method: "DELETE" });
    element("result").hidden = true;
    say(response.ok ? "Deleted." : "It could not be deleted now; try again.", !response.ok);
  };
  element("result").hidden = false;
  say(`Measured: ${job.result.image.width} × ${job.result.image.height} pixels.`);
}

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
