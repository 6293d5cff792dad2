// O que os exploradores da página têm em comum: criar elementos e trazer os dados quando aparecem na tela.
// Os dados vêm em <script>, que chama vaeDados(nome, dados), porque fetch() não abre arquivos.
"use strict";
const vaeComum = (() => {
  const waiting = new Map(), folder = document.currentScript.src.replace(/[^/]*$/, "exploradores/");

  const load = (name) => new Promise((done, fail) => {
    waiting.set(name, done);
    const script = Object.assign(document.createElement("script"), { src: `${folder}${name}.js` });
    script.onerror = () => fail(new Error(name));
    script.onload = () => script.remove();
    document.head.append(script);
  });

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const bitmap = (webp) => createImageBitmap(new Blob([bytes(webp)], { type: "image/webp" }));

  // Dá vida a cada elemento com data-`kind` quando ele se aproxima da tela; se não der certo, fica a figura parada.
  const whenSeen = (kind, bring) => {
    const seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        load(target.dataset[kind])
          .then((data) => bring(target, data))
          .then(() => (target.dataset.vivo = "sim"), () => (target.dataset.vivo = "não"))
          .then(() => document.dispatchEvent(new Event("vivo")));
      }
    }, { rootMargin: "600px" });
    addEventListener("DOMContentLoaded", () => document.querySelectorAll(`[data-${kind}]`).forEach((host) => seen.observe(host)));
  };

  return { make, bytes, bitmap, whenSeen, receive: (name, data) => waiting.get(name)(data) };
})();
const vaeDados = vaeComum.receive;
