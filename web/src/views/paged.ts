// Lists that come page by page and are read again while something in them is still moving.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { key, passes, pause, read } from "../api";
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
const MAX_LIMIT = 100;

/**
 * Read a list, newest rows first, `limit` at a time, and what is shown of it again, up to a hundred rows: every two
 * seconds while `isMoving` holds for any of them, else now and then.
 */
export function usePaged<T extends { id: string }>(path: string, limit: number, isMoving: (row: T) => boolean): Paged<T> {
  const [rows, setRows] = useState<T[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [asked, setAsked] = useState(0);
  const token = key.value;
  const count = useRef(0);
  count.current = rows?.length ?? 0;
  const pageOf = (size: number) => `${path}${path.includes("?") ? "&" : "?"}limit=${size}`;
  /** Ends with the list that is shown, and so does the reading of more of it. */
  const shown = useRef(new AbortController());

  useEffect(() => {
    setRows(null); // of another list; one that is only read again stays where it is meanwhile
    setNext(null);
  }, [path, token]);

  useEffect(() => {
    const stop = new AbortController();
    shown.current = stop;
    const follow = async () => {
      let isAnyMoving = true;
      for (let isFirst = true; ; ) {
        try {
          const size = isFirst ? limit : Math.min(Math.max(limit, count.current), MAX_LIMIT);
          const page = await read<Page<T>>(pageOf(size), { signal: stop.signal });
          setTrouble(null);
          setRows((before) => (isFirst ? page.data : refreshed(page, before ?? [])));
          if (isFirst || page.next_cursor === null) setNext(page.next_cursor);
          isFirst = false;
          isAnyMoving = page.data.some(isMoving);
        } catch (error) {
          if (stop.signal.aborted) return;
          if (!passes(error)) return setTrouble((error as Error).message);
          setTrouble(`${error.plain} This page asks again by itself.`);
        }
        await pause(isAnyMoving && !document.hidden ? AGAIN_S : SELDOM_S, stop.signal);
      }
    };
    follow().catch(() => undefined); // it was left during a pause
    return () => stop.abort();
  }, [path, asked, token]);

  const more = useCallback(() => {
    const { signal } = shown.current;
    read<Page<T>>(`${pageOf(limit)}&cursor=${next}`, { signal }).then(
      (page) => {
        setRows((before) => [...(before ?? []), ...page.data.filter(({ id }) => !before?.some((row) => row.id === id))]);
        setNext(page.next_cursor);
      },
      (error: Error) => signal.aborted || setTrouble(error.message),
    );
  }, [path, next]);
  return { rows, trouble, next, more, reload: () => setAsked((times) => times + 1) };
}

/** Put rows that were read again before the older ones, if there are any; what is missing among them is gone. */
function refreshed<T extends { id: string }>({ data, next_cursor }: Page<T>, before: T[]): T[] {
  const last = data.at(-1)?.id;
  return next_cursor === null || last === undefined ? data : [...data, ...before.filter(({ id }) => id < last)];
}
