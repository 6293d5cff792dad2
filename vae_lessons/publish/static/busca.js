// A busca: sem acentos, por seção, sobre window.BUSCA (busca-dados.js). Não pede nada à rede.
"use strict";
(() => {
  const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const folded = BUSCA.map(([, lesson, section, text]) => [fold(`${lesson} ${section}`), fold(text)]);

  function search(query) {
    const words = fold(query).split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const found = [];
    folded.forEach(([title, text], i) => {
      if (!words.every((word) => title.includes(word) || text.includes(word))) return;
      const score = words.reduce((sum, word) => sum + (title.includes(word) ? 20 : 0) + Math.min(9, text.split(word).length - 1), 0);
      found.push([score, i]);
    });
    found.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    return found.map(([, i]) => ({ href: BUSCA[i][0], title: BUSCA[i][1], section: BUSCA[i][2], ...excerpt(BUSCA[i][3], words[0]) }));
  }

  // O trecho em volta da primeira palavra. Tirar acentos muda o comprimento: conta-se letra por letra.
  function excerpt(text, word) {
    let flat = "";
    const origin = [];
    [...text].forEach((letter, i) => { for (const f of fold(letter)) { flat += f; origin.push(i); } });
    const at = flat.indexOf(word), letters = [...text];
    if (at < 0) return { before: letters.slice(0, 180).join(""), match: "", after: "" };
    const from = origin[at], to = origin[at + word.length - 1] + 1;
    return { before: (from > 70 ? "…" : "") + letters.slice(Math.max(0, from - 70), from).join(""), match: letters.slice(from, to).join(""), after: letters.slice(to, to + 120).join("") + "…" };
  }

  const add = (parent, tag, text, attributes = {}) => parent.appendChild(Object.assign(document.createElement(tag), { textContent: text }, attributes));

  function show(query) {
    const results = search(query), list = document.getElementById("busca-resultados");
    list.replaceChildren();
    document.getElementById("busca-total").textContent =
      !query.trim() ? "" : results.length === 0 ? "Nenhuma seção tem essas palavras." : results.length === 1 ? "Uma seção." : `${results.length} seções.`;
    for (const { href, title, section, before, match, after } of results.slice(0, 60)) {
      const item = add(list, "li", "");
      add(item, "a", section === title ? title : `${title} › ${section}`, { href });
      const text = add(item, "p", before);
      add(text, "mark", match);
      text.append(after);
    }
  }

  addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("busca-palavras");
    box.value = new URLSearchParams(location.search).get("q") ?? "";
    box.addEventListener("input", () => show(box.value));
    show(box.value);
  });
})();
