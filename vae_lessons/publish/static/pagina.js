// O que rola para o lado se alcança também pelo teclado.
"use strict";
(() => {
  const mark = () => {
    for (const box of document.querySelectorAll("pre, .math, .cell_output .output, .table-wrapper, .vae-tabela"))
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
  };
  addEventListener("load", mark);
  addEventListener("resize", mark);
  document.addEventListener("toggle", mark, true);
})();
