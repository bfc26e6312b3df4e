// What the API answers, as far as the page reads it; the whole is in /openapi.json.

export type JobStatus = "awaiting_upload" | "queued" | "running" | "succeeded" | "rejected" | "failed" | "cancelled";
export type BatchStatus = "awaiting_upload" | "running" | "completed" | "cancelled";
export type Verdict = "ok" | "unreliable" | "not_measurable";

export interface Hint {
  code: string;
  message: string;
}

export interface Point {
  id: number;
  x: number;
  y: number;
  z: number;
}

export interface MeasurementValue {
  px: number | null;
  mm: number | null;
  mm_sd: number | null;
  status: Verdict;
  reasons: string[];
}

export interface Scale {
  mm_per_px: number;
  sd: number;
  source: string;
  status: Verdict;
  reasons: string[];
  distance_mm: number;
  distance_sd_mm: number;
  agreement: { source: string; agrees: boolean; mm_per_px: number } | null;
}

export interface Face {
  bounding_box: { x: number; y: number; width: number; height: number };
  pose: { yaw_deg: number; pitch_deg: number; roll_deg: number; rotation: number[][] };
  scale: Scale | null;
  quality: { score: number; components: Record<string, number | null>; retake: Hint[] };
  measurements: Record<string, MeasurementValue>;
  landmarks?: Point[] | null;
}

export interface JobResult {
  image: { width: number; height: number; format: string; exif_orientation: number; mirrored: boolean };
  camera: { focal_px: number; focal_sd_px: number; source: string };
  faces: Face[];
}

export interface JobError {
  code: string;
  message: string;
  retake: Hint[];
}

export interface Job {
  id: string;
  object: "job";
  status: JobStatus;
  reference: string | null;
  batch_id: string | null;
  expires_at: string;
  queue_position: number | null;
  error: JobError | null;
  result: JobResult | null;
}

export interface Batch {
  id: string;
  object: "batch";
  status: BatchStatus;
  total: number;
  counts: Record<JobStatus, number>;
  progress: number;
  images_per_second: number | null;
  eta_s: number | null;
  created_at: string;
  completed_at: string | null;
  expires_at: string;
}

export interface ResultLine {
  reference: string | null;
  job_id: string;
  item_index: number;
  status: JobStatus;
  error_code: string | null;
  result: JobResult | null;
}

export interface SummaryOfMeasurement {
  n_ok: number;
  mean: number | null;
  sd_observed: number | null;
  sd_true_estimate: number | null;
  percentiles: Record<string, number> | null;
}

export interface Summary {
  measurements: Record<string, SummaryOfMeasurement>;
}

export interface Definition {
  key: string;
  term: string;
  landmarks: number[];
  formula: string;
  source: string;
  stands_for: string;
  known_error: string;
  repeatability: string;
  bias: number;
}

export interface Attempt {
  at: string;
  status_code: number | null;
  duration_ms: number | null;
  error: string | null;
}

export interface Delivery {
  id: string;
  event: string;
  job_id: string | null;
  batch_id: string | null;
  url: string;
  status: "pending" | "delivered" | "failed";
  created_at: string;
  next_attempt_at: string | null;
  attempts: Attempt[];
}

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

export interface ProblemBody {
  code: string;
  detail: string;
  request_id: string;
  errors?: { field: string; message: string }[] | null;
}
