// A receiver of facefit's webhooks for Node 20 and later: verifies each request, takes each event once, prints it.
//
//     FACEFIT_WEBHOOK_SECRET=whsec_… node webhook_receiver.mjs --port 5000 --seen seen.txt
//
// It needs nothing but Node. The secret is what `POST /v1/webhooks/secret` answered. A facefit on the same machine calls
// this address only if it was started with FACEFIT_OUTBOUND_ALLOWED_HOSTS=127.0.0.1:5000 and
// FACEFIT_OUTBOUND_ALLOW_HTTP=1; elsewhere put https before this.
//
// An event may come more than once (an answer can get lost), always under the same `webhook-id`. So it is acted on,
// written down with a sync to disk, and answered only then: whoever dies in between gets it again.

import { createHmac, timingSafeEqual } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

const MAX_BODY_BYTES = 100_000; // facefit sends less than 20,000
const MAX_AGE_S = 300;

const { values: given } = parseArgs({
  options: { port: { type: "string", default: "5000" }, seen: { type: "string", default: "seen.txt" } },
});
const secret = Buffer.from(process.env.FACEFIT_WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
const seen = new Set(existsSync(given.seen) ? readFileSync(given.seen, "utf8").split("\n").filter(Boolean) : []);
const notes = openSync(given.seen, "a");

/** Do what is to be done once. What takes long belongs into a queue: an answer has 15 s. */
async function actOn(event) {
  console.log(JSON.stringify([event.type, event.data.id, event.data.reference ?? null, event.data.result_url ?? null]));
}

/** Tell whether one of the signatures is right, and the request is not an old one sent again. */
function isGenuine(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = headers;
  if (!id || !signatures || !/^\d+$/.test(timestamp ?? "") || Math.abs(Date.now() / 1000 - timestamp) > MAX_AGE_S) return false;
  const right = createHmac("sha256", secret).update(`${id}.${timestamp}.`).update(body).digest();
  return signatures.split(" ").some((signature) => {
    const [version, value] = signature.split(",", 2);
    const made = Buffer.from(value ?? "", "base64");
    return version === "v1" && made.length === right.length && timingSafeEqual(made, right);
  });
}

/** Return the bytes of a request as they came: the signature is of these, so nothing may parse them before. */
async function bodyOf(request) {
  const parts = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const inHand = new Map(); // by webhook-id: the same event, come twice at once, is acted on once

async function takeOnce(id, body) {
  if (seen.has(id)) return;
  if (!inHand.has(id)) {
    const taking = actOn(JSON.parse(body)).then(() => {
      writeSync(notes, `${id}\n`);
      fsyncSync(notes);
      seen.add(id);
    });
    inHand.set(id, taking.finally(() => inHand.delete(id)));
  }
  await inHand.get(id);
}

const server = createServer(async (request, response) => {
  const answer = (status, text = "") => response.writeHead(status, { "Content-Type": "text/plain" }).end(text);
  try {
    if (request.url !== "/hook") return answer(404);
    if (request.method !== "POST") return answer(405);
    const body = await bodyOf(request);
    if (body === null) return answer(413);
    if (!isGenuine(request.headers, body)) return answer(401, "the signature is not right");
    await takeOnce(request.headers["webhook-id"], body);
    answer(204);
  } catch (error) {
    console.error(error);
    answer(500); // facefit sends it again
  }
});
server.listen(Number(given.port), "127.0.0.1", () => console.error(`listening on 127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => server.close(() => { closeSync(notes); process.exit(0); }));
