// O explorador do espaço latente, vivo: arrasta-se o ponto no mapa, desenha-se um dígito e vê-se q(z|x) dele.
// O que a mão faz vem de gestures.js; as contas são as de rede.js.
"use strict";
{
  const { make, bytes, bitmap, whenSeen } = vaeComum;
  const SAMPLES = 64, AT_ONCE = 8, STEP = 0.1, CALM = 150; // CALM: milissegundos parado, até que se diga onde
  const BLACK = "#000", WHITE = "#fff", ORANGE = "#C45500"; // como em vae_lessons/style.py
  const number = (value, decimals) => value.toFixed(decimals).replace(/^-(0[.]?0*)$/, "$1").replace("-", "−").replace(".", ",");
  const clamp = (v, [low, high]) => Math.min(high, Math.max(low, v));

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
      Object.assign(this, { host, data, height, width, random: generator(0), q: null, strokes: [], sampled: false });
      Object.assign(this, { waiting: false, stale: false, draws: 0, turn: 0 });
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
      this.map = make("canvas", { width: map.width, height: map.height, className: "vae-figura vae-mapa vae-pad", tabIndex: 0 });
      this.map.setAttribute("role", "application");
      this.map.setAttribute("aria-label", "Mapa dos códigos: arraste o ponto, ou use as setas do teclado");
      this.map.addEventListener("vae-gesto", ({ detail }) => this.point(detail));
      this.picture = this.pixels("vae-imagem");
      this.caption = make("p", { className: "vae-legenda" });
      this.caption.setAttribute("role", "status");
      this.sliders = this.data.sliders.map((slider) => this.slider(slider));
      const left = make("div", {}, this.map, this.caption);
      const right = make("div", {}, this.shown(), this.picture, ...this.ranked(), this.buttons());
      this.host.replaceChildren(make("div", { className: "vae-lado-a-lado" }, left, right), this.choices(), this.drawing());
      this.draw();
    }

    pixels(className, label) {
      const canvas = make("canvas", { width: this.width, height: this.height, className: `vae-figura ${className}` });
      canvas.setAttribute("role", "img");
      if (label) canvas.setAttribute("aria-label", label);
      const pen = canvas.getContext("2d"), image = pen.createImageData(this.width, this.height);
      new Uint32Array(image.data.buffer).fill(0xff000000);
      pen.putImageData(image, 0, 0);
      return Object.assign(canvas, { pen, image });
    }

    button(textContent, act) {
      const made = make("button", { type: "button", textContent });
      made.addEventListener("click", act);
      return made;
    }

    row(text, control) {
      return make("label", {}, make("span", { textContent: text }), control);
    }

    // Um controle de escolha: `act` recebe o número da opção.
    choice(texts, act) {
      const select = make("select", {}, ...texts.map((textContent, value) => make("option", { value, textContent })));
      select.addEventListener("change", () => act(+select.value));
      return select;
    }

    shown() {
      const which = this.choice(["média de p(x|z), pixel a pixel", "amostra de p(x|z): cada pixel sorteado"], (sampled) => { this.sampled = sampled === 1; this.later(); });
      which.setAttribute("aria-label", "O que a imagem mostra");
      return make("div", { className: "vae-controles vae-mostra" }, which);
    }

    slider({ dim, label, min, max }) {
      const input = make("input", { type: "range", min, max, step: 0.01, value: this.z[dim] }), output = make("output");
      input.addEventListener("input", () => { this.z[dim] = +input.value; this.later(); });
      return Object.assign(make("label", {}, make("span", { textContent: label }), input, output), { dim, label, input, output, told: "" });
    }

    // Os controles de z; se forem muitos, numa lista que rola, do latente mais ativo ao menos.
    ranked() {
      const list = make("div", { className: "vae-controles vae-latentes" }, ...this.sliders);
      if (this.sliders.length < 3) return [list];
      return [make("p", { className: "vae-nota", textContent: "Do latente mais ativo ao menos ativo:" }), list];
    }

    buttons() {
      return make("div", { className: "vae-botoes" }, this.button("z ao acaso", () => this.go(this.normals())), this.button("Voltar a zero", () => this.go(this.z.map(() => 0))));
    }

    // As imagens do conjunto: codificar uma, ou ir de uma a outra, por um de dois caminhos.
    choices() {
      const texts = this.images.map((_, i) => (this.data.labels ? `imagem ${i} (classe ${this.data.labels[i]})` : `imagem ${i}`));
      const other = this.data.labels ? this.data.labels.findIndex((label) => label !== this.data.labels[0]) : 1;
      const way = make("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0 });
      const code = ({ value }) => vaeRede.encode(this.encoder, this.images[value]).mean;
      const travel = () => this.go((+path.value ? vaeRede.slerp : vaeRede.lerp)(code(from), code(to), +way.value));
      const from = this.choice(texts, () => { way.value = 0; travel(); }), to = this.choice(texts, travel);
      const path = this.choice(["em linha reta", "esférico"], travel);
      to.value = Math.max(other, 1);
      way.addEventListener("input", travel);
      return make("div", { className: "vae-controles vae-caminho" }, this.row("Codificar", from), this.row("Ir até", to), this.row("caminho", path), this.row("posição", way));
    }

    // O papel em que se desenha, o que o modelo vê dele e o que diz dele.
    drawing() {
      const { dark } = this.data.pen, [ink, blank] = dark ? [BLACK, WHITE] : [WHITE, BLACK];
      this.paper = make("canvas", { width: 448, height: 448, className: "vae-figura vae-papel vae-paper", tabIndex: 0 });
      this.paper.setAttribute("role", "application");
      this.paper.setAttribute("aria-label", "Papel: desenhe com o mouse, o dedo ou a caneta. Pelo teclado, as setas movem a caneta, a barra de espaço a abaixa ou levanta, e Delete apaga tudo.");
      Object.assign(this.paper.dataset, { ink, paper: blank });
      this.paper.style.background = blank;
      this.seen = this.pixels("vae-imagem vae-visto", "O desenho como o modelo o vê");
      this.rebuilt = this.pixels("vae-imagem vae-visto", "A reconstrução do desenho");
      this.terms = make("p", { className: "vae-legenda" });
      this.terms.setAttribute("role", "status");
      this.paper.addEventListener("vae-gesto", ({ detail }) => { this.strokes = detail.strokes; this.see(); });
      this.invite();
      const titled = (text, canvas) => make("figure", {}, canvas, make("figcaption", { textContent: text }));
      const erase = make("button", { type: "button", textContent: "Apagar", className: "vae-erase" });
      return make("div", { className: "vae-drawing" }, make("p", { className: "vae-titulo", textContent: "Desenhe um dígito e veja onde ele cai no mapa" }),
        make("div", { className: "vae-papeis" }, make("div", {}, titled("o seu desenho", this.paper), erase), make("div", {}, titled("o que o modelo vê", this.seen), titled("a reconstrução", this.rebuilt)), make("div", {}, this.terms)));
    }

    invite() {
      this.terms.textContent = "A elipse de q(z|x) aparece no mapa, e aqui, os termos da ELBO.";
    }

    shrunk() {
      return vaeRede.drawn(this.data.pen, this.data.shape, this.strokes);
    }

    // Codifica o desenho: a elipse de q(z|x), z na média dela, a reconstrução e os termos da ELBO.
    see() {
      const x = this.shrunk();
      this.turn += 1;
      this.paint(this.seen, x);
      if (!this.strokes.length) {
        this.q = null;
        this.invite();
        this.paint(this.rebuilt, x.fill(0));
        return this.later();
      }
      this.q = vaeRede.encode(this.encoder, x);
      this.paint(this.rebuilt, vaeRede.decode(this.decoder, this.q.mean));
      this.go(this.q.mean);
      this.weigh(x, this.q, this.turn);
    }

    // A ELBO se estima aos poucos, depois da figura: a mão não espera por ela, e só a do último traço chega ao fim.
    weigh(x, q, turn, values = []) {
      setTimeout(() => {
        if (turn !== this.turn) return;
        for (const eps of this.noise.slice(values.length, values.length + AT_ONCE)) values.push(vaeRede.logLikelihood(this.decoder, x, vaeRede.reparametrize(q, eps)));
        if (values.length < SAMPLES) return this.weigh(x, q, turn, values);
        const { logLikelihood, kl, elbo } = vaeRede.bound(q, values);
        this.terms.textContent = `ELBO = ${number(elbo, 1)} nats = E[log p(x|z)] − KL = ${number(logLikelihood, 1)} −\u00a0${number(kl, 1)}, com a esperança estimada em ${SAMPLES} amostras de q(z|x). No mapa, elipses a 1 e 2 desvios padrão.`;
      });
    }

    go(z) {
      this.z = Float32Array.from(z);
      this.later();
    }

    // O primeiro movimento se desenha já; os que vierem no mesmo quadro da tela, uma vez só, com a última posição.
    later() {
      if (this.waiting) { this.stale = true; return; }
      this.waiting = true;
      this.stale = false;
      this.draw();
      requestAnimationFrame(() => { this.waiting = false; if (this.stale) this.later(); });
    }

    draw() {
      const mean = vaeRede.decode(this.decoder, this.z);
      this.paint(this.picture, this.sampled ? vaeRede.sample(mean, this.random) : mean);
      this.drawMap();
      for (const slider of this.sliders) {
        const told = number(this.z[slider.dim], 2);
        if (told === slider.told) continue;
        slider.told = slider.output.textContent = told;
        slider.input.value = this.z[slider.dim];
        slider.input.setAttribute("aria-valuetext", told);
      }
      clearTimeout(this.calm);
      this.calm = setTimeout(() => this.tell(), this.draws ? CALM : 0);
      this.draws += 1;
    }

    // Por extenso, quando o ponto para: é o que um leitor de tela diz.
    tell() {
      const where = `z\u00a0=\u00a0(${Array.from(this.z.slice(0, 10), (v) => number(v, 1)).join("; ")}${this.z.length > 10 ? "; …" : ""})`;
      this.picture.setAttribute("aria-label", `${this.sampled ? "Amostra" : "Média"} de p(x|z) em ${where}`);
      const point = this.data.dims.map((dim) => `${this.sliders.find((slider) => slider.dim === dim).label}\u00a0=\u00a0${number(this.z[dim], 1)}`);
      this.caption.textContent = `Mapa: médias de q(z|x)${this.data.labels ? ", uma cor por classe" : ""}; ◉ é ${point.join(" e ")}. Arraste-o.`;
    }

    paint({ pen, image }, grey) {
      const { data } = image;
      for (let i = 0, at = 0; i < grey.length; i++, at += 4) data[at] = data[at + 1] = data[at + 2] = 255 * grey[i];
      pen.putImageData(image, 0, 0);
    }

    // Do código ao ponto do mapa.
    place(z) {
      const { width, height, frame: [x0, y0, w, h], across, up } = this.data.map, [i, j] = this.data.dims;
      return [(x0 + (w * (clamp(z[i], across) - across[0])) / (across[1] - across[0])) * width, (1 - y0 - (h * (clamp(z[j], up) - up[0])) / (up[1] - up[0])) * height];
    }

    drawMap() {
      const pen = this.map.getContext("2d"), { width, height, frame: [, , w, h], across, up } = this.data.map, [i, j] = this.data.dims;
      const outline = (lineWidth, strokeStyle, shape) => { Object.assign(pen, { lineWidth, strokeStyle }); pen.beginPath(); shape(); pen.stroke(); };
      const disc = (radius, fillStyle) => { pen.fillStyle = fillStyle; pen.beginPath(); pen.arc(x, y, radius, 0, 2 * Math.PI); pen.fill(); };
      const [x, y] = this.place(this.z), ring = () => pen.arc(x, y, 10.5, 0, 2 * Math.PI);
      pen.drawImage(this.background, 0, 0);
      outline(7, WHITE, ring); outline(3.5, BLACK, ring); disc(5.5, WHITE); disc(3.5, BLACK);
      if (!this.q) return;
      const [cx, cy] = this.place(this.q.mean), scale = vaeRede.deviations(this.q);
      const rx = (scale[i] * w * width) / (across[1] - across[0]), ry = (scale[j] * h * height) / (up[1] - up[0]);
      for (const k of [1, 2]) {
        const ellipse = () => pen.ellipse(cx, cy, Math.max(k * rx, 4), Math.max(k * ry, 4), 0, 0, 2 * Math.PI);
        outline(6, WHITE, ellipse); outline(3.5, ORANGE, ellipse);
      }
    }

    point({ at, keys }) {
      const { frame: [x0, y0, w, h], across, up } = this.data.map, [i, j] = this.data.dims;
      if (at) {
        this.z[i] = clamp(across[0] + ((at[0] - x0) / w) * (across[1] - across[0]), across);
        this.z[j] = clamp(up[0] + ((1 - at[1] - y0) / h) * (up[1] - up[0]), up);
      } else {
        this.z[i] = clamp(this.z[i] + STEP * keys[0], across);
        this.z[j] = clamp(this.z[j] - STEP * keys[1], up);
      }
      this.later();
    }
  }

  whenSeen("latente", async (host, data) => {
    host.explorador = new Latent(host, data);
    await host.explorador.start();
  });
}
