// As contas do VAE, sem dependências: as mesmas do PyTorch, a menos de 1e-3 (tests/test_publish_live.py).
"use strict";
const vaeRede = (() => {
  const ACTIVATIONS = {
    "": (v) => v,
    relu: (v) => (v > 0 ? v : 0),
    tanh: Math.tanh,
    silu: (v) => v / (1 + Math.exp(-v)),
    gelu: (v) => 0.5 * v * (1 + erf(v / Math.SQRT2)),
  };

  function erf(v) { // Abramowitz e Stegun, 7.1.26: erro menor que 2e-7
    const t = 1 / (1 + 0.3275911 * Math.abs(v));
    const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return Math.sign(v) * (1 - tail * Math.exp(-v * v));
  }

  // bytes: base64 -> Uint8Array
  const unpack = (layers, bytes) => layers.map((layer) => {
    const ints = new Int16Array(bytes(layer.weights).buffer), scales = new Float32Array(bytes(layer.scales).buffer);
    const weights = Float32Array.from(ints, (value, i) => value * scales[Math.floor(i / layer.n_in)]);
    return { ...layer, weights, bias: new Float32Array(bytes(layer.bias).buffer) };
  });

  // x [n_in] -> [n_out] da última camada. Quatro saídas de cada vez: as somas de uma não esperam pelas da outra.
  const forward = (layers, x) => layers.reduce((h, { n_in, n_out, weights, bias, activation }) => {
    const out = new Float32Array(n_out), act = ACTIVATIONS[activation];
    let o = 0;
    for (; o + 3 < n_out; o += 4) {
      let [a, b, c, d] = [bias[o], bias[o + 1], bias[o + 2], bias[o + 3]];
      for (let i = 0, w = o * n_in; i < n_in; i++, w++) {
        const v = h[i];
        a += weights[w] * v; b += weights[w + n_in] * v; c += weights[w + 2 * n_in] * v; d += weights[w + 3 * n_in] * v;
      }
      out[o] = act(a); out[o + 1] = act(b); out[o + 2] = act(c); out[o + 3] = act(d);
    }
    for (; o < n_out; o++) {
      let sum = bias[o];
      for (let i = 0, w = o * n_in; i < n_in; i++, w++) sum += weights[w] * h[i];
      out[o] = act(sum);
    }
    return out;
  }, x);

  const encode = (layers, x) => {
    const out = forward(layers, x), half = out.length / 2;
    return { mean: out.slice(0, half), logVar: out.slice(half) };
  };
  const decode = (layers, z) => forward(layers, z).map((logit) => 1 / (1 + Math.exp(-logit)));

  const kl = ({ mean, logVar }) => mean.reduce((sum, m, i) => sum + 0.5 * (m * m + Math.expm1(logVar[i]) - logVar[i]), 0);
  // log p(x|z), em nats, com os logits: −softplus(∓logit)
  const logLikelihood = (layers, x, z) => forward(layers, z).reduce((sum, logit, i) => {
    const softplus = Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit)));
    return sum + x[i] * logit - softplus;
  }, 0);

  const deviations = ({ logVar }) => logVar.map((v) => Math.exp(0.5 * v));
  const reparametrize = (q, eps) => { const scale = deviations(q); return q.mean.map((m, i) => m + scale[i] * eps[i]); };

  // Os termos da ELBO, dados os log p(x|z) de algumas amostras de q(z|x).
  const bound = (q, values) => {
    const fit = values.reduce((a, b) => a + b, 0) / values.length, rate = kl(q);
    return { logLikelihood: fit, kl: rate, elbo: fit - rate };
  };

  // Uma amostra de Bernoulli: cada pixel é 1 se o sorteio dele, uniforme, cair abaixo da média.
  const sample = (mean, uniform) => mean.map((p) => (uniform() < p ? 1 : 0));

  // Do começo ao fim de um caminho: em linha reta, ou no arco de círculo máximo, como em explore/paths.py.
  const lerp = (a, b, t) => Float64Array.from(a, (v, i) => v + t * (b[i] - v));
  const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0), norm = (a) => Math.sqrt(dot(a, a)), TINY = 1e-6;
  const slerp = (a, b, t) => {
    const [from, to] = [norm(a), norm(b)];
    if (Math.min(from, to) < TINY) return lerp(a, b, t);
    const u = Float64Array.from(a, (v) => v / from);
    let v = Float64Array.from(b, (w) => w / to);
    const angle = 2 * Math.atan2(norm(v.map((w, i) => w - u[i])), norm(v.map((w, i) => w + u[i])));
    if (Math.PI - angle < TINY && u.length > 1) { // opostos: o arco que passa pelo eixo mais afastado de u
      const sizes = Array.from(u, Math.abs), axis = sizes.indexOf(Math.min(...sizes));
      v = u.map((_, i) => (i === axis ? 1 : 0));
    }
    const along = dot(u, v), across = v.map((w, i) => w - along * u[i]), length = norm(across);
    if (angle < TINY || length < TINY) return lerp(a, b, t);
    const size = from + t * (to - from);
    return u.map((w, i) => size * (Math.cos(t * angle) * w + (Math.sin(t * angle) * across[i]) / length));
  };

  // O desenho como o modelo o vê, 0 ou 1 por pixel, dos traços em frações do papel: como em explore/drawing.py.
  const SMALLEST = 0.25, FILLS = 0.95;
  const drawn = ({ extent, thickness, dark }, [height, width], strokes) => {
    const image = new Float32Array(height * width).fill(dark ? 1 : 0), pieces = [];
    for (const stroke of strokes) {
      if (stroke.length === 1) pieces.push([...stroke[0], ...stroke[0]]);
      for (let i = 1; i < stroke.length; i++) pieces.push([...stroke[i - 1], ...stroke[i]]);
    }
    if (!pieces.length) return image;
    const sides = [0, 1].map((i) => pieces.flatMap((p) => [p[i], p[i + 2]])).map((all) => [Math.min(...all), Math.max(...all)]);
    const room = Math.max(extent * Math.min(height, width) - thickness, 1);
    const scale = room / Math.max(...sides.map(([low, high]) => high - low), SMALLEST);
    const middle = sides.map(([low, high]) => (low + high) / 2);
    const paths = Float64Array.from(pieces.flatMap(([x, y, to, down]) => {
      const [dx, dy] = [(to - x) * scale, (down - y) * scale];
      return [(x - middle[0]) * scale + width / 2, (y - middle[1]) * scale + height / 2, dx, dy, 1 / Math.max(dx * dx + dy * dy, 1e-12)];
    }));
    // A tinta no ponto (across, down), com o centro da caixa no meio da imagem.
    const ink = (across, down) => {
      let nearest = Infinity;
      for (let p = 0; p < paths.length; p += 5) {
        const x = across - paths[p], y = down - paths[p + 1];
        const t = Math.min(1, Math.max(0, (x * paths[p + 2] + y * paths[p + 3]) * paths[p + 4]));
        nearest = Math.min(nearest, (x - t * paths[p + 2]) ** 2 + (y - t * paths[p + 3]) ** 2);
      }
      return Math.min(1, Math.max(0, 0.5 + thickness / 2 - Math.sqrt(nearest)));
    };
    const each = (act) => { for (let row = 0, pixel = 0; row < height; row++) for (let column = 0; column < width; column++, pixel++) act(column + 0.5, row + 0.5, pixel); };
    const shift = [0, 0];
    if (extent <= FILLS) {
      let total = 0;
      each((x, y) => { const v = ink(x, y); total += v; shift[0] += v * x; shift[1] += v * y; });
      shift[0] = shift[0] / total - width / 2;
      shift[1] = shift[1] / total - height / 2;
    }
    each((x, y, pixel) => { if (ink(x + shift[0], y + shift[1]) > 0.5) image[pixel] = dark ? 0 : 1; });
    return image;
  };

  return { unpack, encode, decode, logLikelihood, deviations, reparametrize, bound, sample, lerp, slerp, drawn };
})();
