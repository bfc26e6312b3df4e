// Lists that come page by page and are read again while something in them is still moving.

import { useCallback, useEffect, useState } from "preact/hooks";
import { key, pause, read } from "../api";
import type { Page } from "../types";

export interface Paged<T> {
  rows: T[] | null;
  trouble: string | null;
  next: string | null;
  more: () => void;
  reload: () => void;
}

const AGAIN_S = 2;
const SELDOM_S = 15;

/** Read a list, and its first page again: every two seconds while `isMoving` holds for any row of it, else now and then. */
export function usePaged<T extends { id: string }>(path: string, isMoving: (row: T) => boolean): Paged<T> {
  const [rows, setRows] = useState<T[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [asked, setAsked] = useState(0);
  const token = key.value;

  useEffect(() => {
    const stop = new AbortController();
    const follow = async () => {
      setRows(null);
      let isAnyMoving = false;
      for (let isFirst = true; !stop.signal.aborted; isFirst = false) {
        try {
          const page = await read<Page<T>>(path, { signal: stop.signal });
          setTrouble(null);
          setRows((before) => merged(page.data, isFirst ? null : before));
          if (isFirst) setNext(page.next_cursor);
          isAnyMoving = page.data.some(isMoving);
        } catch (error) {
          if (stop.signal.aborted) return;
          setTrouble((error as Error).message);
          if (isFirst) return;
        }
        await pause(isAnyMoving && !document.hidden ? AGAIN_S : SELDOM_S, stop.signal).catch(() => undefined);
      }
    };
    void follow();
    return () => stop.abort();
  }, [path, asked, token]);

  const more = useCallback(() => {
    const joint = path.includes("?") ? "&" : "?";
    read<Page<T>>(`${path}${joint}cursor=${next}`).then(
      (page) => {
        setRows((before) => [...(before ?? []), ...page.data]);
        setNext(page.next_cursor);
      },
      (error: Error) => setTrouble(error.message),
    );
  }, [path, next]);
  return { rows, trouble, next, more, reload: () => setAsked(asked + 1) };
}

function merged<T extends { id: string }>(fresh: T[], before: T[] | null): T[] {
  const known = new Set(fresh.map(({ id }) => id));
  return [...fresh, ...(before ?? []).filter(({ id }) => !known.has(id))];
}
