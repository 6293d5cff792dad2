// O que rola para o lado se alcança também pelo teclado, e o papel mostra o que está fechado.
"use strict";
(() => {
  const mark = () => {
    for (const box of document.querySelectorAll("pre, .math, .cell_output .output, .table-wrapper, .vae-partes"))
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
  };
  addEventListener("load", mark);
  addEventListener("resize", mark);
  document.addEventListener("vivo", mark);
  document.addEventListener("toggle", mark, true);

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("article details:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
