// What a person says about the photos before they are sent. The names are those of the API.

import { signal } from "@preact/signals";

export interface Options {
  known_pd_mm: string;
  known_pd_kind: string;
  object: "" | "id1_card" | "aruco";
  aruco_dictionary: string;
  aruco_side_mm: string;
  reference_object_placement: string;
  mirrored: boolean;
  max_faces: string;
  keep_image: boolean;
  webhook_url: string;
}

export const NOTHING_SAID: Options = {
  known_pd_mm: "", known_pd_kind: "distance",
  object: "", aruco_dictionary: "4x4_50", aruco_side_mm: "40", reference_object_placement: "forehead",
  mirrored: false, max_faces: "1", keep_image: false, webhook_url: "",
};

export const options = signal<Options>(NOTHING_SAID);

/** Say in a few words what holds for the photos that are sent next: the form may be folded away. */
export function saidInWords(said: Options): string {
  const held = { id1_card: "a card", aruco: "a marker" }[said.object as string];
  return [
    said.known_pd_mm && `PD ${said.known_pd_mm} mm`, held, said.mirrored && "mirrored", said.keep_image && "kept",
    said.max_faces !== "1" && `up to ${said.max_faces} faces`, said.webhook_url && "calls back",
  ].filter(Boolean).join(", ");
}

/** Return the fields of the form to send: what was not said is left out, as the API refuses one without the other. */
export function fieldsOf(said: Options): Record<string, string> {
  const fields: Record<string, string> = {};
  if (said.known_pd_mm) Object.assign(fields, { known_pd_mm: said.known_pd_mm, known_pd_kind: said.known_pd_kind });
  if (said.object) {
    fields.reference_object = said.object === "aruco" ? `aruco:${said.aruco_dictionary}:${said.aruco_side_mm}` : said.object;
    if (said.reference_object_placement) fields.reference_object_placement = said.reference_object_placement;
  }
  if (said.mirrored) fields.mirrored = "true";
  if (said.max_faces !== "1") fields.max_faces = said.max_faces;
  if (said.keep_image) fields.keep_image = "true";
  if (said.webhook_url) fields.webhook_url = said.webhook_url;
  return fields;
}
