"""O VAE de frases: duas redes recorrentes, e z entre elas (Bowman et al., 2016, arXiv:1511.06349).

    frase x ── GRU ──► q(z|x) ──► z ── GRU, que escreve uma palavra de cada vez ──► p(x|z) = Π_t p(w_t | w_<t, z)

A lição 06 escreve as mesmas contas por extenso, para muitos modelos de uma vez; um teste confere que são as mesmas.
Serve a `objectives.elbo`, a `fit` e a `fit_many`, que o treina com várias sementes.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vae_lessons.counts import require_count
from vae_lessons.data.phrases import END, PAD, START, UNKNOWN
from vae_lessons.distributions import Normal


class PhraseVAE(nn.Module):
    """q(z|x) normal e p(x|z) autorregressiva, com a prior N(0, I).

    n_words: quantos símbolos há, os especiais de `data.phrases` entre eles (os quatro primeiros) · latent_dim: Z ·
    hidden: H, o estado das duas GRUs · erased: no treino, a fração das palavras que o decodificador lê como UNKNOWN
    (*word dropout*); na avaliação, nenhuma.
    Os pesos iniciais vêm do gerador global do torch. Levanta ValueError ou TypeError se um tamanho não servir.
    """

    def __init__(self, n_words: int, latent_dim: int, *, hidden: int = 64, erased: float = 0.0):
        super().__init__()
        n_words = require_count("n_words", n_words, " (os símbolos do vocabulário)", at_least=UNKNOWN + 2)
        self.latent_dim = require_count("latent_dim", latent_dim, ", o número de dimensões de z")
        hidden = require_count("hidden", hidden, ", o tamanho do estado")
        if not 0 <= erased < 1:
            raise ValueError(f"erased, a fração das palavras apagadas, deve ficar entre 0 e 1, mas veio {erased}.")
        self.n_words, self.hidden, self.erased = n_words, hidden, erased
        shapes = {"read": (n_words, 3 * hidden), "read_state": (hidden, 3 * hidden)}
        shapes |= {"to_q": (hidden, 2 * latent_dim), "from_z": (latent_dim, 4 * hidden)}
        shapes |= {"write": (n_words, 3 * hidden), "write_state": (hidden, 3 * hidden)}
        shapes |= {"to_word": (hidden, n_words), "bias": (1, n_words)}
        scales = {"read": 0.3, "write": 0.3, "from_z": 0.15, "bias": 0.0}
        for name, shape in shapes.items():
            scale = scales.get(name, 0.6 / shape[0] ** 0.5)
            setattr(self, name, nn.Parameter(scale * torch.randn(shape)))
        self.register_buffer("_zero", torch.zeros(latent_dim), persistent=False)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """A forma de um z: (Z,)."""
        return (self.latent_dim,)

    @property
    def prior(self) -> Normal:
        return Normal(self._zero, self._zero)

    def encode(self, x: Tensor) -> Normal:
        """Linhas de símbolos [B, T], como em load("phrases").x → q(z|x), com parâmetros [B, Z].

        Levanta TypeError se x não for de inteiros e ValueError se não for [B, T].
        """
        _require_rows(x)
        states = _gru(self.read[x], self.read.new_zeros(len(x), self.hidden), self.read_state)
        last = ((x != PAD).sum(1) - 1).clamp(min=0)  # o último símbolo que não é vazio
        final = states.gather(1, last[:, None, None].expand(-1, 1, self.hidden))[:, 0]
        return Normal(*(final @ self.to_q).chunk(2, -1))

    def decode(self, z: Tensor) -> "Phrases":
        """z [B, Z] → p(x|z), uma distribuição de frases para cada z."""
        return Phrases(self, z)

    def _states(self, z: Tensor, seen: Tensor) -> Tensor:
        """z [B, Z] e as palavras já escritas [B, T] → os estados de onde sai cada palavra seguinte, [B, T, H]."""
        start, push = (z @ self.from_z).split((self.hidden, 3 * self.hidden), -1)
        return _gru(self.write[seen] + push[:, None], start.tanh(), self.write_state)

    def _logits(self, states: Tensor) -> Tensor:
        return states @ self.to_word + self.bias


class Phrases(NamedTuple):
    """p(x|z) de cada z [B, Z]. `log_prob` e `sample` escrevem da esquerda para a direita, uma palavra de cada vez."""

    model: PhraseVAE
    z: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x|z), somado até FIM: linhas x [B, T], que começam por INÍCIO → [B], em nats por frase.

        z pode ter dimensões a mais à frente, [..., B, Z]: a resposta também as tem.
        """
        _require_rows(x)
        model = self.model
        ahead = self.z.shape[:-1]
        rows = x.expand(*ahead, x.shape[-1]).reshape(-1, x.shape[-1])
        seen = rows[:, :-1]
        if model.training and model.erased:
            drop = (torch.rand(seen.shape, device=x.device) < model.erased) & (seen > UNKNOWN)
            seen = torch.where(drop, UNKNOWN, seen)
        logits = model._logits(model._states(self.z.reshape(-1, model.latent_dim), seen))
        costs = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), ignore_index=PAD, reduction="none")
        return -costs.view(seen.shape).sum(1).reshape(ahead)

    def likeliest(self, length: int = 13) -> Tensor:
        """A frase que se escreve tomando sempre a palavra mais provável: linhas de símbolos, int64 [B, length + 1].

        Não é a frase mais provável de todas, que pediria uma busca. Depois de FIM só há VAZIO.
        """
        return self._write(length, lambda logits: logits.argmax(-1))

    def sample(self, generator: torch.Generator | None = None, *, length: int = 13) -> Tensor:
        """Uma frase sorteada para cada z: int64 [B, length + 1]."""
        return self._write(length, lambda logits: torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0])

    @torch.no_grad()
    def _write(self, length: int, choose) -> Tensor:
        length = require_count("length", length, " (quantas palavras escrever)")
        model, n = self.model, len(self.z)
        start, push = (self.z @ model.from_z).split((model.hidden, 3 * model.hidden), -1)
        state = start.tanh()
        rows = torch.full((n, 1), START, device=self.z.device)
        done = torch.zeros(n, dtype=torch.bool, device=self.z.device)
        for _ in range(length):
            state = _gru((model.write[rows[:, -1]] + push)[:, None], state, model.write_state)[:, 0]
            word = torch.where(done, PAD, choose(model._logits(state)))
            done |= word == END
            rows = torch.cat([rows, word[:, None]], 1)
        return rows


def _gru(inputs: Tensor, state: Tensor, weight: Tensor) -> Tensor:
    """inputs [B, T, 3H], state [B, H], weight [H, 3H] → o estado depois de cada passo, [B, T, H] (Cho et al., 2014)."""
    states = []
    for now in inputs.unbind(1):
        (r_now, u_now, new_now), (r_old, u_old, new_old) = now.chunk(3, -1), (state @ weight).chunk(3, -1)
        r, u = torch.sigmoid(r_now + r_old), torch.sigmoid(u_now + u_old)
        state = u * state + (1 - u) * torch.tanh(new_now + r * new_old)
        states.append(state)
    return torch.stack(states, 1)


def _require_rows(x: Tensor) -> None:
    if not isinstance(x, Tensor) or x.is_floating_point():
        found = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(
            f'O VAE de frases espera símbolos, um tensor int64 [B, T], como load("phrases").x, mas veio {found}. '
            "De textos, data.phrases.tokens."
        )
    if x.ndim != 2:
        raise ValueError(
            f"O VAE de frases espera símbolos [B, T], mas veio {tuple(x.shape)}. De uma frase só, x[None]."
        )
