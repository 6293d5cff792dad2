// Exploradores gravados: uma figura base e, por estado, o retângulo em que ele difere dela (vae_lessons/publish/recording.py).
// Sem dependências; os dados vêm em <script>, porque fetch() não abre arquivos. Sem JavaScript fica a figura parada.
"use strict";
{
  const { make, bitmap, whenSeen } = vaeComum, KEPT = 60;

  class Recorded {
    constructor(host, data) {
      Object.assign(this, { host, data, cache: new Map(), bases: new Map(), busy: false, moves: 0, draws: 0 });
      this.place = this.split(data.start);
      this.canvas = make("canvas", { width: data.width, height: data.height, className: "vae-figura" });
      this.canvas.style.width = `${data.shown}px`;
      this.canvas.setAttribute("role", "img");
      this.context = this.canvas.getContext("2d");
      this.controls = data.controls.map((control, i) => (control.kind === "choice" ? this.choice(control, i) : this.slider(control, i)));
      this.caption = make("p", { className: "vae-legenda" });
    }

    async start() {
      await this.draw();
      const note = make("p", { className: "vae-nota", textContent: "Nesta página vivem estes controles; os outros, no JupyterLab." });
      this.host.replaceChildren(this.canvas, this.caption, make("div", { className: "vae-controles" }, ...this.controls), note);
      this.host.dataset.vivo = "sim";
    }

    // O número de um estado e o lugar de cada controle: o último é o que anda mais depressa.
    split(state) {
      return this.data.controls.reduceRight(([places, rest], { texts }) => [[rest % texts.length, ...places], Math.floor(rest / texts.length)], [[], state])[0];
    }

    get state() {
      return this.data.controls.reduce((state, { texts }, i) => state * texts.length + this.place[i], 0);
    }

    slider({ label, texts }, i) {
      const output = make("output", { textContent: texts[this.place[i]] });
      const input = make("input", { type: "range", min: 0, max: texts.length - 1, step: 1, value: this.place[i] });
      input.setAttribute("aria-valuetext", texts[this.place[i]]);
      input.addEventListener("input", () => {
        output.textContent = texts[input.value];
        input.setAttribute("aria-valuetext", texts[input.value]);
        this.move(i, +input.value);
      });
      return make("label", {}, make("span", { textContent: label }), input, output);
    }

    choice({ label, texts }, i) {
      const select = make("select", {}, ...texts.map((text, value) => make("option", { value, textContent: text, selected: value === this.place[i] })));
      if (!label) select.setAttribute("aria-label", "Escolha");
      select.addEventListener("change", () => this.move(i, +select.value));
      return make("label", {}, make("span", { textContent: label }), select);
    }

    move(i, value) {
      this.place[i] = value;
      this.moves += 1;
      this.draw();
    }

    below(base) {
      if (!this.bases.has(base)) this.bases.set(base, bitmap(this.data.bases[base]));
      return this.bases.get(base);
    }

    above(key, webp) {
      if (!this.cache.has(key)) {
        if (this.cache.size >= KEPT) {
          const [oldest, picture] = this.cache.entries().next().value;
          this.cache.delete(oldest);
          picture.then((old) => old.close());
        }
        this.cache.set(key, bitmap(webp));
      }
      return this.cache.get(key);
    }

    // Uma figura de cada vez; ao fim dela, desenha-se a última posição, e as do meio não entram em fila.
    async draw() {
      if (this.busy) return;
      this.busy = true;
      for (let drawn = -1; drawn !== this.state; ) {
        drawn = this.state;
        const [base, x, y, webp] = this.data.states[drawn];
        const [below, above] = await Promise.all([this.below(base), webp && this.above(drawn, webp)]);
        this.context.drawImage(below, 0, 0);
        if (above) this.context.drawImage(above, x, y);
        this.caption.textContent = this.data.texts[drawn];
        this.canvas.setAttribute("aria-label", this.data.texts[drawn]);
        this.draws += 1;
      }
      this.busy = false;
    }
  }

  whenSeen("gravado", async (host, data) => {
    host.explorador = new Recorded(host, data);
    await host.explorador.start();
  });
}
