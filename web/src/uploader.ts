// Photos are picked, dropped or taken with Uppy, and sent: one as a job, several as one batch.

import Uppy, { type Body, type Meta, type UppyFile } from "@uppy/core";
import Dashboard from "@uppy/dashboard";
import Webcam from "@uppy/webcam";
import XHRUpload from "@uppy/xhr-upload";
import { authorization, away, problem } from "./api";
import { fieldsOf, options } from "./options";
import { beginBatch, beginJob } from "./runs";
import type { Batch, Job } from "./types";

type Answer = Body & (Job | Batch);
type Photo = UppyFile<Meta, Answer>;

const MAX_PHOTO_BYTES = 20_000_000;
const MAX_BATCH_BYTES = 2_000_000_000;
const MAX_PHOTOS = 10_000;
const MAX_REFERENCE_LENGTH = 128;
const ACCEPTED = ["image/jpeg", "image/png", "image/webp", "image/heic", "image/heif", "image/avif", ".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif"];

const STRINGS = {
  dropPasteFiles: "Drop photos here or %{browseFiles}",
  dropPasteImportFiles: "Drop photos here or %{browseFiles}",
  browseFiles: "choose them",
  dropHint: "Drop the photos here",
  myDevice: "Choose photos",
  importFiles: "Add photos:",
  dashboardTitle: "Photos to measure",
  xFilesSelected: { 0: "%{smart_count} photo", 1: "%{smart_count} photos" },
  uploadXFiles: { 0: "Measure %{smart_count} photo", 1: "Measure %{smart_count} photos" },
  uploadXNewFiles: { 0: "Measure %{smart_count} photo", 1: "Measure %{smart_count} photos" },
  uploadingXFiles: { 0: "%{smart_count} photo", 1: "%{smart_count} photos" }, // also once it could not be sent
  filesUploadedOfTotal: { 0: "%{complete} of %{smart_count} photo", 1: "%{complete} of %{smart_count} photos" },
  retryUpload: "Send again",
  cancelUpload: "Do not send",
  importFrom: "%{name}",
  removeFile: "Leave out",
  addMore: "More photos",
  addMoreFiles: "Choose more photos",
  addingMoreFiles: "More photos",
  uploading: "Sending",
  complete: "Sent",
  uploadFailed: "Not sent",
  retry: "Send again",
};

const CORE_STRINGS = {
  failedToUpload: "%{file} was not sent",
  noDuplicates: "“%{fileName}” is there already",
  exceedsSize: "%{file} is larger than %{size}",
  aggregateExceedsSize: "These photos have %{size} together; %{sizeAllowed} can be sent at once",
  youCanOnlyUploadX: { 0: "%{smart_count} photo can be sent at once", 1: "%{smart_count} photos can be sent at once" },
  youCanOnlyUploadFileTypes: "That is no photo; send JPEG, PNG, WebP, HEIC or AVIF",
};

/** Uppy's thumbnails call it a bug when photos leave before their turn, as they do here once they are sent. */
const LEFT_BEFORE_ITS_TURN = "file was removed before a thumbnail could be generated";
const LOGGER = {
  debug: () => undefined,
  warn: (...said: unknown[]) => console.warn(...said),
  error: (...said: unknown[]) => (said.some((text) => String(text).includes(LEFT_BEFORE_ITS_TURN)) ? undefined : console.error(...said)),
};

/** What a reference of the API is made of a file's name; two that come out alike must be told apart. */
function referenceOf(name: string): string {
  return name.replace(/^[^\p{L}\p{N}]+/u, "").slice(0, MAX_REFERENCE_LENGTH);
}

/** Who has which reference, or had it before it was taken out again. With ten thousand photos all of them cannot be asked for each. */
const holders = new Map<string, string>();

function apart({ id, name }: Pick<Photo, "id" | "name">, files: Record<string, Photo>): string {
  const isTaken = (reference: string) => (holders.get(reference) ?? id) !== id && holders.get(reference)! in files;
  const [, stem = name, ending = ""] = /^(.*?)(\.[^.]*)?$/s.exec(name) ?? [];
  let free = name;
  for (let n = 2; isTaken(referenceOf(free)); n++) free = `${stem.slice(0, 100)} (${n})${ending}`;
  holders.set(referenceOf(free), id);
  return free;
}

/** Make it so that a request which is sent again is not accepted again. */
let attempt = { photos: "", id: "" };
function attemptOf(uppy: Uppy<Meta, Answer>, fields: Record<string, string>): string {
  const photos = JSON.stringify([Object.keys(uppy.getState().files), fields]);
  if (attempt.photos !== photos) attempt = { photos, id: [...crypto.getRandomValues(new Uint32Array(4))].join("-") };
  return attempt.id;
}

/** A photo that is dropped beside its place would be opened by the browser instead of the page, and all that was picked be gone. */
function beside(event: DragEvent): void {
  if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
}

/** Have the browser ask before a page is left that is still sending. */
function keepOpen(event: BeforeUnloadEvent): void {
  event.preventDefault();
}

export function makeUploader(target: HTMLElement, theme: "light" | "dark", tell: (what: string | Error) => void): { uppy: Uppy<Meta, Answer>; close: () => void } {
  const uppy = new Uppy<Meta, Answer>({
    restrictions: { maxFileSize: MAX_PHOTO_BYTES, maxTotalFileSize: MAX_BATCH_BYTES, maxNumberOfFiles: MAX_PHOTOS, allowedFileTypes: ACCEPTED },
    allowMultipleUploadBatches: false,
    logger: LOGGER,
    locale: { strings: CORE_STRINGS, pluralize: (count) => (count === 1 ? 0 : 1) },
    onBeforeFileAdded: (file, files) => {
      if (Object.hasOwn(files, file.id)) return false; // the same file once more
      const name = apart(file, files);
      return { ...file, name, meta: { ...file.meta, name } };
    },
  });
  // The arrow on a thumbnail would send its photo without a word to the listeners below; photos are sent together, or not.
  uppy.retryUpload = () => uppy.retryAll();
  uppy.use(Dashboard<Meta, Answer>, {
    inline: true, target, width: "100%", height: 340, theme,
    proudlyDisplayPoweredByUppy: false, singleFileFullScreen: false, showNativePhotoCameraButton: false, disableInformer: false,
    fileManagerSelectionType: "files", doneButtonHandler: null, hidePauseResumeButton: true,
    note: "JPEG, PNG, WebP, HEIC or AVIF, up to 20 MB each",
    locale: { strings: STRINGS },
  });
  uppy.use(Webcam<Meta, Answer>, {
    modes: ["picture"], mirror: true, preferredImageMimeType: "image/jpeg", showVideoSourceDropdown: true,
    locale: { strings: { submitRecordedFile: "Use this photo", discardRecordedFile: "Take another" } },
    videoConstraints: { width: { ideal: 3840 }, height: { ideal: 2160 } },
  });
  uppy.use(XHRUpload<Meta, Answer>, {
    endpoint: "/v1/batches", bundle: true, fieldName: "images", timeout: 0, allowedMetaFields: [],
    shouldRetry: ({ status }) => status === 0,
    onAfterResponse: (xhr) => {
      if (xhr.status >= 400) throw problem(xhr.status, xhr.responseText, xhr.getResponseHeader("Retry-After"));
    },
  });
  uppy.addPreProcessor(async () => {
    const isOne = uppy.getFiles().length === 1;
    const fields = fieldsOf(options.value);
    uppy.setMeta(fields);
    uppy.getPlugin<XHRUpload<Meta, Answer>>("XHRUpload")!.setOptions({
      endpoint: isOne ? "/v1/jobs" : "/v1/batches",
      bundle: !isOne,
      fieldName: isOne ? "image" : "images",
      allowedMetaFields: Object.keys(fields),
      headers: { ...authorization(), "Idempotency-Key": attemptOf(uppy, fields) },
    });
  });
  uppy.on("upload", () => {
    tell("");
    addEventListener("beforeunload", keepOpen);
  });
  // Back to the photos that are there: the panel for more of them covers the button that sends them.
  uppy.on("restriction-failed", () => uppy.getPlugin<Dashboard<Meta, Answer>>("Dashboard")!.hideAllPanels());
  uppy.on("upload-error", (_, error, response) => {
    const isAway = !response || !("status" in response) || !response.status;
    away.value = isAway;
    tell(isAway ? problem(0, "", null) : new Error(error.message));
  });
  uppy.on("cancel-all", () => removeEventListener("beforeunload", keepOpen));
  uppy.on("complete", ({ successful = [], failed = [] }) => {
    removeEventListener("beforeunload", keepOpen);
    const answer = successful[0]?.response?.body;
    if (!answer || failed.length) return;
    away.value = false;
    attempt = { photos: "", id: "" };
    const files = successful.map((file) => new File([file.data as Blob], file.name, { type: file.type }));
    // Uppy goes on to tidy up after itself once its listeners are done. Taken out one by one, the photos are also taken
    // out of the queue for thumbnails.
    setTimeout(() => {
      uppy.removeFiles(successful.map(({ id }) => id));
      uppy.clear();
    });
    if (answer.object === "job") beginJob(answer, files[0]!);
    else beginBatch(answer, files);
  });
  // Uppy leaves a single photo's list item without its list, which screen readers then cannot tell.
  const watcher = new MutationObserver(() => target.querySelector(".uppy-Dashboard-files:not([role])")?.setAttribute("role", "list"));
  watcher.observe(target, { childList: true, subtree: true });
  addEventListener("dragover", beside);
  addEventListener("drop", beside);
  const close = () => {
    removeEventListener("dragover", beside);
    removeEventListener("drop", beside);
    removeEventListener("beforeunload", keepOpen);
    watcher.disconnect();
    uppy.destroy();
  };
  return { uppy, close };
}
