// Um explorador gravado (vae_lessons/publish/recording.py): uma figura base e, por estado, o retângulo em que difere dela.
// Módulo ES sem dependências: mount(host, data) troca a figura parada, em `host`, por controles e uma figura viva.

const KEPT = 16; // estados decodificados que se guardam: cada um ocupa quatro bytes por ponto
const REST = 25; // milissegundos parado, depois dos quais se preparam os estados vizinhos

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const bitmap = (webp) => createImageBitmap(new Blob([bytes(webp)], { type: "image/webp" }));

export async function mount(host, data) {
  const explorer = new Recorded(data);
  await explorer.draw();
  host.explorador = explorer;
  // A legenda muda de altura: embaixo dos controles, não os tira do lugar.
  host.replaceChildren(explorer.picture, make("div", { className: "vae-controles" }, ...explorer.controls), explorer.caption, ...explorer.notes());
}

export class Recorded {
  constructor(data) {
    Object.assign(this, { data, cache: new Map(), bases: new Map(), busy: false, draws: 0 });
    this.place = this.split(data.start);
    this.parts = this.cut();
    this.picture = make("div", { className: "vae-partes" }, ...this.parts.map(({ pen }) => pen.canvas));
    this.picture.setAttribute("role", "img");
    this.caption = make("p", { className: "vae-legenda" });
    this.caption.setAttribute("role", "status");
    this.controls = data.controls.map((control, i) => this.control(control, i));
  }

  // As partes da figura: lado a lado são ela inteira; numa tela estreita ficam uma embaixo da outra.
  cut() {
    const { folds, width, height, shown } = this.data, edges = [0, ...folds, width];
    return folds.concat(width).map((right, i) => {
      const canvas = make("canvas", { width: right - edges[i], height, className: "vae-figura" });
      const across = (shown * canvas.width) / width;
      Object.assign(canvas.style, { width: `${across}px`, minWidth: `${0.7 * across}px` });
      return { left: edges[i], pen: canvas.getContext("2d") };
    });
  }

  // Do número de um estado ao lugar de cada controle, e de volta: o último é o que anda mais depressa.
  split(state) {
    return this.data.controls.reduceRight(([place, rest], { texts }) => [[rest % texts.length, ...place], Math.floor(rest / texts.length)], [[], state])[0];
  }

  join(place) {
    return this.data.controls.reduce((state, { texts }, i) => state * texts.length + place[i], 0);
  }

  control({ kind, label, texts }, i) {
    const [input, ...rest] = kind === "choice" ? this.choice(label, texts, i) : this.slider(texts, i);
    for (const event of ["focus", "pointerenter"]) input.addEventListener(event, () => this.prepare(i));
    return make("label", {}, make("span", { textContent: label }), input, ...rest);
  }

  slider(texts, i) {
    const input = make("input", { type: "range", min: 0, max: texts.length - 1, step: 1, value: this.place[i] }), output = make("output");
    const say = () => {
      output.textContent = texts[input.value];
      input.setAttribute("aria-valuetext", texts[input.value]);
    };
    input.addEventListener("input", () => {
      say();
      this.move(i, +input.value);
    });
    say();
    return [input, output];
  }

  choice(label, texts, i) {
    const select = make("select", {}, ...texts.map((text, value) => make("option", { value, textContent: text, selected: value === this.place[i] })));
    if (!label) select.setAttribute("aria-label", "Escolha");
    select.addEventListener("change", () => this.move(i, +select.value));
    return [select];
  }

  // O que há no JupyterLab e não aqui.
  notes() {
    const { others } = this.data;
    return others.length ? [make("p", { className: "vae-nota", textContent: `No JupyterLab este explorador tem também: ${others.join(", ")}.` })] : [];
  }

  move(i, value) {
    this.place[i] = value;
    this.draw();
    this.prepare(i);
  }

  // Uma figura de cada vez; ao fim dela desenha-se a última posição, e as do meio não entram em fila.
  async draw() {
    if (this.busy) return;
    this.busy = true;
    try {
      for (let drawn = -1; drawn !== this.join(this.place); ) {
        drawn = this.join(this.place);
        const [, x, y] = this.data.states[drawn], [below, above] = await this.pictures(drawn);
        for (const { left, pen } of this.parts) {
          pen.drawImage(below, -left, 0);
          if (above) pen.drawImage(above, x - left, y);
        }
        this.caption.textContent = this.data.texts[drawn];
        this.picture.setAttribute("aria-label", this.data.texts[drawn]);
        this.draws += 1;
      }
    } finally {
      this.busy = false;
    }
  }

  // Com o controle i parado, decodifica os estados vizinhos: o próximo passo os acha prontos.
  prepare(i) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      for (const step of [1, -1]) {
        const place = Object.assign([...this.place], { [i]: this.place[i] + step });
        if (place[i] in this.data.controls[i].texts) this.pictures(this.join(place));
      }
    }, REST);
  }

  // A figura base e o que vai por cima dela, decodificados; os usados há mais tempo se jogam fora.
  pictures(state) {
    const [base, , , webp] = this.data.states[state], { bases, cache } = this;
    if (!bases.has(base)) bases.set(base, bitmap(this.data.bases[base]));
    const above = cache.get(state) ?? (webp ? bitmap(webp) : null);
    cache.delete(state);
    cache.set(state, above);
    if (cache.size > KEPT) {
      const [oldest, picture] = cache.entries().next().value;
      cache.delete(oldest);
      picture?.then((old) => old.close());
    }
    return Promise.all([bases.get(base), above]);
  }
}
