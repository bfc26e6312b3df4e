// Builds the page into ../api/web, the same bytes each time: `make page`. With --check it writes nothing and says what differs.

import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(here, "../api/web");
const testTools = resolve(here, "../tests/browser/vendor");

function hashed(stem, content, ending) {
  return `${stem}-${createHash("sha256").update(content).digest("hex").slice(0, 12)}${ending}`;
}

/** Icons that a stylesheet brings as data: URLs become files, so that the page's policy need not allow data:. */
function withoutData(css, files) {
  return css.replace(/url\((["']?)data:image\/svg\+xml(?:;charset=[\w-]+)?,(.*?)\1\)/g, (_, __, data) => {
    const svg = decodeURIComponent(data);
    const name = hashed("icon", svg, ".svg");
    files.set(name, Buffer.from(svg));
    return `url(/web/${name})`;
  });
}

async function bundled() {
  const made = await build({
    absWorkingDir: here,
    entryPoints: ["src/main.tsx"],
    outdir: out,
    bundle: true,
    minify: true,
    format: "esm",
    target: ["es2022"],
    jsx: "automatic",
    jsxImportSource: "preact",
    alias: { react: "preact/compat" },
    loader: { ".txt": "text" },
    legalComments: "none", // licences.txt has them all
    charset: "utf8",
    metafile: true,
    write: false,
    logLevel: "warning",
  });
  const files = new Map();
  for (const { path, text } of made.outputFiles) {
    const ending = /\.[a-z]+$/.exec(path)[0];
    const content = ending === ".css" ? withoutData(text, files) : text;
    files.set(hashed("page", content, ending), Buffer.from(content));
  }
  return { files, inputs: Object.keys(made.metafile.inputs) };
}

/** Every package that a byte of the bundle comes from, with its licence. */
async function licences(inputs) {
  const names = new Set(inputs.flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []));
  const parts = ["What the page is built from, beside its own sources.\n"];
  for (const name of [...names].sort()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? (await readFile(join(folder, file), "utf8")).trim() : `${license}; the package brings no text of it.`;
    parts.push(`${"=".repeat(80)}\n${name} ${version}: ${license}\n\n${text}\n`);
  }
  return Buffer.from(parts.join("\n"));
}

async function everything() {
  const { files, inputs } = await bundled();
  const nameOf = (ending) => [...files.keys()].find((name) => name.endsWith(ending));
  const html = await readFile(join(here, "src/index.html"), "utf8");
  files.set("index.html", Buffer.from(html.replace("{{js}}", nameOf(".js")).replace("{{css}}", nameOf(".css"))));
  files.set("licences.txt", await licences(inputs));
  for (const name of await readdir(join(here, "static"))) files.set(name, await readFile(join(here, "static", name)));
  const axe = new Map([
    ["axe.min.js", await readFile(join(here, "node_modules/axe-core/axe.min.js"))],
    ["LICENSE-axe-core", await readFile(join(here, "node_modules/axe-core/LICENSE"))],
  ]);
  return [[out, files], [testTools, axe]];
}

async function differences(folder, files) {
  const there = await readdir(folder).catch(() => []);
  const wrong = there.filter((name) => !files.has(name)).map((name) => `${name} is not made by a build`);
  for (const [name, bytes] of files) {
    const before = await readFile(join(folder, name)).catch(() => null);
    if (!before?.equals(bytes)) wrong.push(`${name} ${before ? "is another than a build makes" : "is missing"}`);
  }
  return wrong;
}

/** What a first visit loads: the page, its script, its style and its icon. */
function weigh(files) {
  const loaded = [...files].filter(([name]) => /^(index\.html|favicon\.svg|page-.*)$/.test(name)).map(([, bytes]) => bytes);
  const kilobytes = (bytes) => `${Math.round(bytes.reduce((sum, { length }) => sum + length, 0) / 1000)} kB`;
  console.log(`a first visit loads ${kilobytes(loaded.map((one) => gzipSync(one, { level: 9 })))} compressed, ${kilobytes(loaded)} plain`);
}

const isCheck = process.argv.includes("--check");
let wrong = [];
for (const [folder, files] of await everything()) {
  if (isCheck) wrong = wrong.concat(await differences(folder, files));
  else {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    for (const [name, bytes] of files) await writeFile(join(folder, name), bytes);
  }
}
if (!isCheck) weigh((await everything())[0][1]);
for (const line of wrong) console.error(line);
if (wrong.length) console.error("api/web is not what a fresh build makes: run `make page` and commit what it writes.");
process.exitCode = wrong.length ? 1 : 0;
