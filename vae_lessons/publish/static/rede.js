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

  // x [n_in] -> [n_out] da última camada
  const forward = (layers, x) => layers.reduce((h, { n_in, n_out, weights, bias, activation }) => {
    const out = new Float32Array(n_out), act = ACTIVATIONS[activation];
    for (let o = 0; o < n_out; o++) {
      let sum = bias[o];
      for (let i = 0, w = o * n_in; i < n_in; i++) sum += weights[w + i] * h[i];
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

  // Os termos da ELBO de x, com a esperança em q(z|x) estimada pelos ruídos `noise` [L][Z].
  const elbo = (encoder, decoder, x, noise) => {
    const q = encode(encoder, x), deviations = q.logVar.map((v) => Math.exp(0.5 * v));
    const values = noise.map((eps) => logLikelihood(decoder, x, q.mean.map((m, i) => m + deviations[i] * eps[i])));
    const fit = values.reduce((a, b) => a + b, 0) / values.length, rate = kl(q);
    return { q, deviations, logLikelihood: fit, kl: rate, elbo: fit - rate };
  };

  return { unpack, forward, encode, decode, kl, logLikelihood, elbo };
})();
