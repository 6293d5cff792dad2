// A mão sobre um explorador, na página e no JupyterLab: arrasta-se um ponto (.vae-pad), desenha-se (.vae-paper).
// Cada gesto vira um evento "vae-gesto", que sobe do elemento: {at: [direita, baixo]}, {keys: [direita, baixo]} ou
// {strokes: [[[direita, baixo], ...], ...]}. Posições, em frações do elemento, de 0 a 1; keys, em passos de uma seta.
"use strict";
window.vaeGestos ??= (() => {
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const PEN_STEP = 0.05, APART = 0.008, LINE = 0.085; // em frações do lado do papel
  const papers = new WeakMap(); // papel → {strokes, pen: onde está a do teclado, down}
  let held = null; // o que se arrasta: {surface, box, pointer}

  const tell = (surface, detail) => surface.dispatchEvent(new CustomEvent("vae-gesto", { bubbles: true, detail }));
  const share = (value, start, length) => Math.round(1e4 * Math.min(1, Math.max(0, (value - start) / length))) / 1e4;
  const where = ({ clientX, clientY }, { left, top, width, height }) => [share(clientX, left, width), share(clientY, top, height)];
  const paperOf = (surface) => {
    if (!papers.has(surface)) papers.set(surface, { strokes: [], pen: null, down: false });
    return papers.get(surface);
  };

  function show(surface) {
    const { strokes, pen, down } = paperOf(surface), ink = surface.getContext("2d"), side = surface.width;
    const line = (points, color, width) => {
      Object.assign(ink, { strokeStyle: color, lineWidth: width * side, lineCap: "round", lineJoin: "round" });
      ink.beginPath();
      for (const [x, y] of [points[0], ...points]) ink.lineTo(x * side, y * side);
      ink.stroke();
    };
    ink.clearRect(0, 0, side, side);
    for (const stroke of strokes) line(stroke, surface.dataset.ink, LINE);
    if (!pen) return;
    line([pen], "#C45500", LINE);
    if (!down) line([pen], surface.dataset.paper, LINE / 2);
  }

  // Um ponto a mais no último traço; os muito próximos não se repetem.
  function add(surface, point) {
    const { strokes } = paperOf(surface), stroke = strokes.at(-1), last = stroke.at(-1);
    if (last && Math.hypot(point[0] - last[0], point[1] - last[1]) < APART) return false;
    stroke.push(point);
    return true;
  }

  const drawn = (surface) => { show(surface); tell(surface, { strokes: paperOf(surface).strokes }); };

  function erase(surface) {
    papers.delete(surface);
    drawn(surface);
  }

  function press(surface, event) {
    if (!event.isPrimary || event.button) return;
    event.preventDefault();
    surface.focus({ preventScroll: true });
    held = { surface, box: surface.getBoundingClientRect(), pointer: event.pointerId };
    try { surface.setPointerCapture(event.pointerId); } catch { /* um evento que não veio de um aparelho */ }
    const at = where(event, held.box);
    if (surface.matches(".vae-pad")) return tell(surface, { at });
    Object.assign(paperOf(surface), { pen: null, down: false }).strokes.push([at]);
    drawn(surface);
  }

  function move(event) {
    if (!held || event.pointerId !== held.pointer) return;
    const { surface, box } = held;
    if (surface.matches(".vae-pad")) return tell(surface, { at: where(event, box) });
    const steps = event.getCoalescedEvents?.() ?? [];
    if ((steps.length ? steps : [event]).map((step) => add(surface, where(step, box))).some(Boolean)) drawn(surface);
  }

  function key(surface, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (surface.matches(".vae-pad")) {
      if (!arrow) return;
      tell(surface, { keys: arrow });
    } else if (arrow) {
      const paper = paperOf(surface), from = paper.pen ?? [0.5, 0.5];
      paper.pen = from.map((v, i) => Math.round(1e4 * Math.min(1, Math.max(0, v + PEN_STEP * arrow[i]))) / 1e4);
      if (paper.down && add(surface, paper.pen)) drawn(surface);
      else show(surface);
    } else if (event.key === " ") {
      const paper = paperOf(surface);
      paper.pen ??= [0.5, 0.5];
      paper.down = !paper.down;
      if (paper.down) paper.strokes.push([paper.pen]);
      drawn(surface);
    } else if (event.key === "Delete" || event.key === "Backspace") erase(surface);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  const surfaceOf = ({ target }) => target.closest?.(".vae-pad, .vae-paper");
  const listen = (type, act) => document.addEventListener(type, act, { capture: true });
  listen("pointerdown", (event) => surfaceOf(event) && press(surfaceOf(event), event));
  listen("pointermove", move);
  for (const end of ["pointerup", "pointercancel"]) listen(end, () => (held = null));
  listen("keydown", (event) => surfaceOf(event) && key(surfaceOf(event), event));
  listen("click", ({ target }) => target.closest?.(".vae-erase") && erase(target.closest(".vae-drawing").querySelector(".vae-paper")));
  return true;
})();
