// O explorador do espaço latente, vivo: arrasta-se o ponto no mapa, desenha-se um dígito e vê-se q(z|x) dele.
"use strict";
{
  const { make, bytes, bitmap, whenSeen } = vaeComum;
  const SIDE = 224, SAMPLES = 64, BLACK = "#000", WHITE = "#fff", DRAWN = "#D55E00"; // as cores são as de vae_lessons/style.py
  const number = (value, decimals) => value.toFixed(decimals).replace(/^-(0[.]?0*)$/, "$1").replace("-", "−").replace(".", ",");

  // Um gerador com semente (mulberry32): a mesma página mostra sempre os mesmos sorteios.
  const generator = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  class Latent {
    constructor(host, data) {
      const [height, width] = data.shape, size = height * width, images = bytes(data.images);
      Object.assign(this, { host, data, height, width, random: generator(0), q: null, waiting: false, draws: 0 });
      this.encoder = vaeRede.unpack(data.encoder, bytes);
      this.decoder = vaeRede.unpack(data.decoder, bytes);
      this.images = Array.from({ length: images.length / size }, (_, i) => Float32Array.from(images.slice(i * size, (i + 1) * size), (v) => v / 255));
      this.z = new Float32Array(data.sliders.length);
      data.sliders.forEach(({ dim, value }) => (this.z[dim] = value));
      this.noise = Array.from({ length: SAMPLES }, () => this.normals());
    }

    normals() {
      return Float32Array.from(this.z, () => Math.sqrt(-2 * Math.log(1 - this.random())) * Math.cos(2 * Math.PI * this.random()));
    }

    async start() {
      const { map } = this.data;
      this.background = await bitmap(map.webp);
      this.map = make("canvas", { width: map.width, height: map.height, className: "vae-figura vae-mapa", tabIndex: 0 });
      this.map.setAttribute("role", "application");
      this.map.setAttribute("aria-label", "Mapa dos códigos: arraste o ponto, ou use as setas do teclado");
      this.picture = this.pixels("vae-imagem");
      this.caption = make("p", { className: "vae-legenda" });
      this.caption.setAttribute("role", "status");
      this.sliders = this.data.sliders.map((slider) => this.slider(slider));
      const left = make("div", {}, this.map, this.choices());
      const right = make("div", {}, make("p", { className: "vae-titulo", textContent: "Média de p(x|z) no ponto marcado" }), this.picture, make("div", { className: "vae-controles" }, ...this.sliders), this.buttons());
      this.host.replaceChildren(make("div", { className: "vae-lado-a-lado" }, left, right), this.drawing(), this.caption);
      this.listen();
      this.draw();
    }

    pixels(className) {
      const canvas = make("canvas", { width: this.width, height: this.height, className: `vae-figura ${className}` });
      canvas.setAttribute("role", "img");
      return canvas;
    }

    slider({ dim, label, min, max }) {
      const input = make("input", { type: "range", min, max, step: 0.01, value: this.z[dim] }), output = make("output");
      input.addEventListener("input", () => { this.z[dim] = +input.value; this.q = null; this.later(); });
      return Object.assign(make("label", {}, make("span", { textContent: label }), input, output), { dim, input, output });
    }

    buttons() {
      const button = (textContent, act) => {
        const made = make("button", { type: "button", textContent });
        made.addEventListener("click", act);
        return made;
      };
      return make("div", { className: "vae-botoes" }, button("z ao acaso", () => this.go(this.normals())), button("Voltar a zero", () => this.go(this.z.map(() => 0))));
    }

    // As imagens do conjunto: codificar uma, ou ir de uma a outra.
    choices() {
      const options = () => this.images.map((_, i) => make("option", { value: i, textContent: this.data.labels ? `imagem ${i} (classe ${this.data.labels[i]})` : `imagem ${i}` }));
      const from = make("select", {}, ...options()), to = make("select", {}, ...options());
      const other = this.data.labels ? this.data.labels.findIndex((label) => label !== this.data.labels[0]) : 1;
      to.value = Math.max(other, 1);
      const way = make("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0 });
      const travel = () => {
        const [a, b] = [from, to].map(({ value }) => vaeRede.encode(this.encoder, this.images[value]).mean);
        this.go(a.map((start, i) => start + way.value * (b[i] - start)));
      };
      from.addEventListener("change", () => { way.value = 0; this.see(this.images[from.value]); });
      to.addEventListener("change", travel);
      way.addEventListener("input", travel);
      const row = (text, control) => make("label", {}, make("span", { textContent: text }), control);
      return make("div", { className: "vae-controles" }, row("Codificar", from), row("Ir até", to), row("no caminho", way));
    }

    // O papel em que se desenha, e o que o modelo vê dele.
    drawing() {
      this.paper = make("canvas", { width: SIDE, height: SIDE, className: "vae-figura vae-papel" });
      this.paper.setAttribute("role", "img");
      this.paper.setAttribute("aria-label", "Papel: desenhe com o mouse ou o dedo");
      this.seen = this.pixels("vae-imagem vae-visto");
      this.rebuilt = this.pixels("vae-imagem vae-visto");
      this.seen.setAttribute("aria-label", "O desenho como o modelo o vê");
      this.rebuilt.setAttribute("aria-label", "A reconstrução do desenho");
      const clear = make("button", { type: "button", textContent: "Apagar" });
      clear.addEventListener("click", () => { this.wipe(); this.q = null; this.terms.textContent = ""; this.later(); });
      this.terms = make("p", { className: "vae-legenda", textContent: "" });
      const titled = (text, canvas) => make("figure", {}, canvas, make("figcaption", { textContent: text }));
      const ink = this.paper.getContext("2d", { willReadFrequently: true });
      Object.assign(ink, { lineCap: "round", lineJoin: "round", lineWidth: SIDE / 11, strokeStyle: WHITE });
      this.ink = ink;
      const at = (event) => { const box = this.paper.getBoundingClientRect(); return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE]; };
      this.paper.addEventListener("pointerdown", (event) => { this.paper.setPointerCapture(event.pointerId); this.pen = at(event); this.stroke(this.pen); });
      this.paper.addEventListener("pointermove", (event) => this.pen && this.stroke(at(event)));
      for (const end of ["pointerup", "pointercancel"]) this.paper.addEventListener(end, () => (this.pen = null));
      this.wipe();
      return make("div", {}, make("p", { className: "vae-titulo", textContent: "Desenhe um dígito e veja onde ele cai no mapa" }),
        make("div", { className: "vae-papeis" }, titled("o seu desenho", this.paper), titled("o que o modelo vê", this.seen), titled("a reconstrução", this.rebuilt), clear), this.terms);
    }

    wipe() {
      for (const canvas of [this.paper, this.seen, this.rebuilt]) { const c = canvas.getContext("2d"); c.fillStyle = BLACK; c.fillRect(0, 0, canvas.width, canvas.height); }
    }

    stroke(to) {
      this.ink.beginPath();
      this.ink.moveTo(...this.pen);
      this.ink.lineTo(...to);
      this.ink.stroke();
      this.pen = to;
      this.see(this.shrunk());
    }

    // O desenho na resolução dos dados: cabe em 5/7 do lado, com o centro de massa no meio, como no MNIST; 0 ou 1.
    shrunk() {
      const { data } = this.ink.getImageData(0, 0, SIDE, SIDE);
      let [left, right, top, bottom, mass, mx, my] = [SIDE, 0, SIDE, 0, 0, 0, 0];
      for (let y = 0; y < SIDE; y++) for (let x = 0; x < SIDE; x++) {
        const v = data[4 * (y * SIDE + x)];
        if (v < 128) continue;
        left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
        mass += 1; mx += x; my += y;
      }
      if (!mass) return new Float32Array(this.height * this.width);
      const big = Math.max(right - left, bottom - top, SIDE / 4) + 1, full = Math.min(this.height, this.width) < 16 ? 1 : 5 / 7;
      const scale = (full * this.height) / big, small = new OffscreenCanvas(this.width, this.height), pen = small.getContext("2d");
      const [cx, cy] = full === 1 ? [(left + right) / 2, (top + bottom) / 2] : [mx / mass, my / mass];
      pen.imageSmoothingQuality = "high";
      pen.setTransform(scale, 0, 0, scale, this.width / 2 - cx * scale, this.height / 2 - cy * scale);
      pen.drawImage(this.paper, 0, 0);
      const { data: grey } = pen.getImageData(0, 0, this.width, this.height);
      return Float32Array.from({ length: this.height * this.width }, (_, i) => (grey[4 * i] > 127 ? 1 : 0));
    }

    // Codifica x: a elipse de q(z|x), z na média dela, e os termos da ELBO.
    see(x) {
      const { q, deviations, logLikelihood, kl, elbo } = vaeRede.elbo(this.encoder, this.decoder, x, this.noise);
      this.paint(this.seen, x);
      this.paint(this.rebuilt, vaeRede.decode(this.decoder, q.mean));
      this.terms.textContent = `ELBO = ${number(elbo, 1)} nats = E[log p(x|z)] ${number(logLikelihood, 1)} − KL ${number(kl, 1)}, com a esperança estimada em ${SAMPLES} amostras de q(z|x).`;
      this.go(q.mean);
      this.q = { mean: q.mean, deviations };
    }

    go(z) {
      this.z = Float32Array.from(z);
      this.q = null;
      this.later();
    }

    // Um desenho por quadro da tela, sempre com a última posição.
    later() {
      if (this.waiting) return;
      this.waiting = true;
      requestAnimationFrame(() => { this.waiting = false; this.draw(); });
    }

    draw() {
      this.paint(this.picture, vaeRede.decode(this.decoder, this.z));
      this.drawMap();
      for (const { dim, input, output } of this.sliders) {
        input.value = this.z[dim];
        output.textContent = number(this.z[dim], 2);
        input.setAttribute("aria-valuetext", output.textContent);
      }
      const where = `z = (${Array.from(this.z.slice(0, 10), (v) => number(v, 1)).join("; ")}${this.z.length > 10 ? "; …" : ""})`;
      this.picture.setAttribute("aria-label", `Média de p(x|z) em ${where}`);
      this.caption.textContent = `Mapa: médias de q(z|x), uma cor por classe; ◉ é ${where}. Arraste-o.`;
      this.draws += 1;
    }

    paint(canvas, grey) {
      const image = new ImageData(this.width, this.height);
      grey.forEach((v, i) => image.data.set([255 * v, 255 * v, 255 * v, 255], 4 * i));
      canvas.getContext("2d").putImageData(image, 0, 0);
    }

    // Do código ao ponto do mapa, e de volta.
    place(z) {
      const { width, height, frame: [x0, y0, w, h], across, up } = this.data.map, [i, j] = this.data.dims;
      return [(x0 + (w * (z[i] - across[0])) / (across[1] - across[0])) * width, (1 - y0 - (h * (z[j] - up[0])) / (up[1] - up[0])) * height];
    }

    drawMap() {
      const pen = this.map.getContext("2d"), { width, height, frame: [, , w, h], across, up } = this.data.map, [i, j] = this.data.dims;
      pen.drawImage(this.background, 0, 0);
      if (this.q) {
        const [x, y] = this.place(this.q.mean), rx = (this.q.deviations[i] * w * width) / (across[1] - across[0]), ry = (this.q.deviations[j] * h * height) / (up[1] - up[0]);
        Object.assign(pen, { strokeStyle: DRAWN, lineWidth: 4 });
        for (const k of [1, 2]) { pen.beginPath(); pen.ellipse(x, y, Math.max(k * rx, 4), Math.max(k * ry, 4), 0, 0, 2 * Math.PI); pen.stroke(); }
      }
      const [x, y] = this.place(this.z);
      const disc = (radius, color) => { pen.fillStyle = color; pen.beginPath(); pen.arc(x, y, radius, 0, 2 * Math.PI); pen.fill(); };
      const ring = (radius, lineWidth, strokeStyle) => { Object.assign(pen, { lineWidth, strokeStyle }); pen.beginPath(); pen.arc(x, y, radius, 0, 2 * Math.PI); pen.stroke(); };
      ring(10.5, 7, WHITE); ring(10.5, 3.5, BLACK); disc(5.5, WHITE); disc(3.5, BLACK);
    }

    listen() {
      const { frame: [x0, y0, w, h], across, up } = this.data.map, [i, j] = this.data.dims;
      const clamp = (v, [low, high]) => Math.min(high, Math.max(low, v));
      const drag = (event) => {
        const box = this.map.getBoundingClientRect(), right = (event.clientX - box.left) / box.width, down = (event.clientY - box.top) / box.height;
        this.z[i] = clamp(across[0] + ((right - x0) / w) * (across[1] - across[0]), across);
        this.z[j] = clamp(up[0] + ((1 - down - y0) / h) * (up[1] - up[0]), up);
        this.q = null;
        this.later();
      };
      this.map.addEventListener("pointerdown", (event) => { this.map.setPointerCapture(event.pointerId); drag(event); });
      this.map.addEventListener("pointermove", (event) => this.map.hasPointerCapture(event.pointerId) && drag(event));
      const steps = { ArrowLeft: [i, -0.1], ArrowRight: [i, 0.1], ArrowDown: [j, -0.1], ArrowUp: [j, 0.1] };
      this.map.addEventListener("keydown", (event) => {
        if (!(event.key in steps)) return;
        const [dim, step] = steps[event.key];
        this.z[dim] = clamp(this.z[dim] + step, dim === i ? across : up);
        this.q = null;
        this.later();
        event.preventDefault();
      });
    }
  }

  whenSeen("latente", async (host, data) => {
    host.explorador = new Latent(host, data);
    await host.explorador.start();
  });
}
