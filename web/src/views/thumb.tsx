// A small picture of the person's own photo, made when its row is seen, and never larger than it is shown.

import { useEffect, useRef } from "preact/hooks";

const SIDE = 40;
const DENSITY = 2;

export function Thumb({ file }: { file: File | null }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current!;
    if (!file) return;
    const watcher = new IntersectionObserver(([entry]) => {
      if (!entry?.isIntersecting) return;
      watcher.disconnect();
      void draw(element, file);
    });
    watcher.observe(element);
    return () => watcher.disconnect();
  }, [file]);
  return <canvas class={file ? "thumb" : "thumb none"} ref={canvas} width={SIDE * DENSITY} height={SIDE * DENSITY} aria-hidden="true" />;
}

async function draw(element: HTMLCanvasElement, file: File): Promise<void> {
  try {
    const picture = await createImageBitmap(file, { resizeHeight: SIDE * DENSITY * 2, resizeQuality: "medium" });
    const side = Math.min(picture.width, picture.height);
    const size = SIDE * DENSITY;
    element.getContext("2d")!.drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, 0, 0, size, size);
    picture.close();
  } catch {
    // A kind of photo that the browser cannot show: the place stays empty.
  }
}
