// O que um leitor de tela diz de um explorador no JupyterLab. O ipywidgets não dá nome aos controles deslizantes, lê deles
// a posição em vez do valor, não dá texto alternativo às imagens (vem em .vae-words) e marca só pela cor o botão
// escolhido: é o que se acrescenta aqui. Quando a figura muda por gesto de alguém, o texto dela é dito, depois de um
// instante parada.
(explorer) => {
  if (!explorer || explorer.querySelector(":scope > .vae-said")) return;
  const REST = 400; // milissegundos
  const said = document.createElement("div");
  said.className = "vae-said";
  said.setAttribute("role", "status");
  explorer.append(said);
  let resting;

  function tell(words) {
    clearTimeout(resting);
    resting = setTimeout(() => {
      if (explorer.contains(document.activeElement)) said.textContent = words;
    }, REST);
  }

  const set = (element, name, value) => {
    if (value && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };

  function complete() {
    for (const handle of explorer.querySelectorAll(".widget-slider .noUi-handle")) {
      const slider = handle.closest(".widget-slider");
      set(handle, "aria-label", slider.querySelector(".widget-label").textContent);
      set(handle, "aria-valuetext", slider.querySelector(".widget-readout").textContent.replace(/(\d)\.(\d)/g, "$1,$2"));
    }
    for (const field of explorer.querySelectorAll(":is(input, select)[title]")) set(field, "aria-label", field.title);
    for (const button of explorer.querySelectorAll(".widget-toggle-button"))
      set(button, "aria-pressed", String(button.classList.contains("mod-active")));
    const words = explorer.querySelectorAll(".vae-words p");
    explorer.querySelectorAll("img.widget-image").forEach((image, i) => {
      const alt = words[i]?.textContent ?? "";
      if (image.getAttribute("alt") === alt) return;
      image.alt = alt;
      if (image.matches(".vae-picture")) tell(alt);
    });
  }

  const watched = { subtree: true, childList: true, attributes: true, attributeFilter: ["class", "aria-valuetext"] };
  new MutationObserver(complete).observe(explorer, watched);
  complete();
}
