// No JupyterLab, o gesto vai ao kernel pelo campo de texto escondido ao lado (.vae-channel), como se alguém o digitasse.
// O ipywidgets só manda o texto seguinte quando o kernel responde ao anterior: num arrasto rápido, vale o último. Os
// passos do teclado se somam no próprio campo, e assim nenhum se perde.
"use strict";
window.vaeGestosNoKernel ??= document.addEventListener("vae-gesto", ({ target, detail: { at, keys, strokes } }) => {
  const hand = target.closest(".vae-hand"), channel = hand?.querySelector(".vae-channel textarea");
  if (!channel) return;
  const [kind, across, down] = channel.value.split(" "), total = kind === "keys" ? [+across, +down] : [0, 0];
  if (strokes) channel.value = strokes.length ? JSON.stringify(strokes) : "";
  else if (at) channel.value = `at ${at.join(" ")} ${Date.now()}`; // com a hora, o mesmo lugar outra vez é outro texto
  else channel.value = `keys ${total[0] + keys[0]} ${total[1] + keys[1]}`;
  channel.dispatchEvent(new Event("input", { bubbles: true }));
  hand.closest(".vae-explorer")?.querySelectorAll(".vae-live").forEach((words) => words.setAttribute("aria-live", "polite"));
}) ?? true;
