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

/** Read a list, and its first page again: every two seconds while `isMoving` holds for any row of it, else now and then. */
export function usePaged<T extends { id: string }>(path: string, isMoving: (row: T) => boolean): Paged<T> {
  const [rows, setRows] = useState<T[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [asked, setAsked] = useState(0);
  const token = key.value;
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
          const page = await read<Page<T>>(path, { signal: stop.signal });
          setTrouble(null);
          setRows((before) => merged(page.data, isFirst ? null : before));
          if (isFirst) setNext(page.next_cursor);
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
    const joint = path.includes("?") ? "&" : "?";
    const { signal } = shown.current;
    read<Page<T>>(`${path}${joint}cursor=${next}`, { signal }).then(
      (page) => {
        setRows((before) => merged(before ?? [], page.data));
        setNext(page.next_cursor);
      },
      (error: Error) => signal.aborted || setTrouble(error.message),
    );
  }, [path, next]);
  return { rows, trouble, next, more, reload: () => setAsked((times) => times + 1) };
}

/** Put rows before others, each once: the first of two is the fresher one. */
function merged<T extends { id: string }>(first: T[], then: T[] | null): T[] {
  const known = new Set(first.map(({ id }) => id));
  return [...first, ...(then ?? []).filter(({ id }) => !known.has(id))];
}
