"""Uma lista ordenada acerta o que a pessoa escolheu? Recall@k e NDCG@k, uma nota para cada pessoa.

Nos dois casos, `scores` [U, I] traz a pontuação de cada item para cada pessoa, e `held_out` [U, I], de zeros e uns, os
itens que se esconderam de quem pontuou. A lista são os k itens de maior pontuação. O que a pessoa já tem (os itens do
*fold-in*) não se recomenda: quem chama põe −inf na pontuação deles, e um item com −inf nunca conta como acerto.
Entre itens de mesma pontuação, vem antes o de menor índice.
"""

import torch
from torch import Tensor

from vae_lessons.counts import require_count


def recall_at_k(scores: Tensor, held_out: Tensor, k: int) -> Tensor:
    """Recall@k: os itens escondidos que estão entre os k primeiros, divididos por min(k, quantos há): [U], de 0 a 1.

    Com o mínimo no divisor, 1 é sempre alcançável, também por quem tem mais de k itens escondidos (Liang et al., 2018,
    seção 4.2). Os argumentos, o tipo do resultado e os erros são os de ndcg_at_k.
    """
    hits, n_held_out = _hits(scores, held_out, k)
    return hits.sum(1) / n_held_out.clamp(max=k)


def ndcg_at_k(scores: Tensor, held_out: Tensor, k: int) -> Tensor:
    """NDCG@k (*normalized discounted cumulative gain*): [U], de 0 a 1.

    DCG = Σ 1/log₂(r + 1) sobre as posições r ≤ k, contadas de 1, em que há um item escondido; a nota é DCG dividida
    pela da melhor lista possível, que põe os escondidos nas primeiras min(k, quantos há) posições (Järvelin e
    Kekäläinen, 2002; Liang et al., 2018, seção 4.2). Dois escondidos, achados em 1º e em 3º, dão 0,9197.
    scores: [U, I], de qualquer tipo real e em qualquer dispositivo; −inf exclui o item · held_out: [U, I], zeros e uns,
    de qualquer tipo · k: se passar de I, a lista são todos.
    O resultado fica no dispositivo de scores, em float32, ou em float64 se scores for float64.
    Levanta TypeError se não forem tensores ou k não for inteiro, e ValueError se as formas não casarem, se k < 1, se
    houver NaN em scores ou outro valor em held_out, e se alguém não tiver nenhum item escondido: a nota seria 0/0, e
    tanto um NaN quanto um zero estragariam a média. Deixe essas pessoas fora: rows = held_out.sum(1) > 0.
    """
    hits, n_held_out = _hits(scores, held_out, k)
    discounts = torch.arange(2, hits.shape[1] + 2, device=hits.device, dtype=hits.dtype).log2().reciprocal()
    ideal = discounts.cumsum(0)[n_held_out.long().clamp(max=k) - 1]
    return (hits * discounts).sum(1) / ideal


def _hits(scores: Tensor, held_out: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Zeros e uns: o que está em cada posição da lista é um escondido? [U, min(k, I)]; e quantos há, [U]."""
    scores, held_out = _checked(scores, held_out)
    k = require_count("k", k, ", o tamanho da lista")
    first = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    dtype = torch.float64 if scores.dtype == torch.float64 else torch.float32
    shown = scores.gather(1, first) > -torch.inf
    hits = (held_out.gather(1, first) & shown).to(dtype)
    return hits, held_out.sum(1).to(dtype)


def _checked(scores: Tensor, held_out: Tensor) -> tuple[Tensor, Tensor]:
    """scores sem gradiente e held_out como bool, no mesmo dispositivo, se servirem; senão, o que falta."""
    if not isinstance(scores, Tensor) or not isinstance(held_out, Tensor):
        raise TypeError(
            "scores e held_out, nesta ordem, devem ser tensores [U, I], uma pessoa por linha, mas vieram "
            f"{type(scores).__name__} e {type(held_out).__name__}."
        )
    if scores.ndim != 2 or scores.shape != held_out.shape or scores.numel() == 0:
        raise ValueError(
            "scores e held_out devem ter a mesma forma [U, I], uma pessoa por linha e um item por coluna, mas vieram "
            f"{tuple(scores.shape)} e {tuple(held_out.shape)}. De uma pessoa só, use scores[None] e held_out[None]."
        )
    scores = scores.detach()
    if scores.isnan().any():
        raise ValueError("Há NaN em scores: o treino divergiu? Um item que não se recomenda leva −inf, e não NaN.")
    found = held_out.detach().to(scores.device)
    if not ((found == 0) | (found == 1)).all():
        raise ValueError(
            "held_out deve ter só zeros e uns: 1 nos itens escondidos de cada pessoa. A ordem dos argumentos é "
            "(scores, held_out, k); de notas ou contagens, passe (contagens > 0)."
        )
    found = found.bool()
    empty = (~found.any(1)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(
            f"{len(empty)} das {len(found)} linhas não têm item escondido, a começar pela de índice {empty[0]}: não há "
            "o que acertar, e a nota seria 0/0. Deixe essas pessoas fora das médias: rows = held_out.sum(1) > 0."
        )
    return scores, found
