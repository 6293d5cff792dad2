"""Sala 4, treinar e medir: contas certas sobre os números errados."""

import torch
from torch import Tensor

from vae_lessons.museum.specimen import Specimen


def mean_of_means(losses: list[Tensor]) -> float:
    """A perda média de uma época, por imagem. losses: a de cada imagem, um tensor [b] por lote, de b que varia."""
    return torch.stack([loss.mean() for loss in losses]).mean().item()  # defeito


def mean_of_all(losses: list[Tensor]) -> float:
    return torch.cat(losses).mean().item()


def restarting_warmup(epoch: int, step: int, steps_per_epoch: int, warmup_steps: int) -> float:
    """O β do passo `step` (de 0 a steps_per_epoch − 1) da época `epoch` (de 0 em diante): sobe em reta, de 0 no
    primeiro passo do treino até 1 depois de warmup_steps passos, e lá fica."""
    return min(1.0, step / warmup_steps)  # defeito


def warmup(epoch: int, step: int, steps_per_epoch: int, warmup_steps: int) -> float:
    return min(1.0, (epoch * steps_per_epoch + step) / warmup_steps)


def reshaped(codes: Tensor) -> Tensor:
    """Os valores de cada dimensão latente, um por linha. codes: [N, Z] -> [Z, N]."""
    return codes.reshape(codes.shape[1], codes.shape[0])  # defeito


def transposed(codes: Tensor) -> Tensor:
    return codes.T


def sample_as_embedding(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    """O ponto do mapa que representa cada observação. mean, log_var, noise: [B, Z] -> [B, Z]."""
    return mean + torch.exp(0.5 * log_var) * noise  # defeito


def mean_as_embedding(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    return mean


def divided_by_empty(hits: Tensor, held_out: Tensor) -> float:
    """A Recall média dos usuários que têm o que acertar. hits: quantos acertos, [U]; held_out: de quantos, [U]."""
    return (hits / held_out).mean().item()  # defeito


def mean_over_those_with_targets(hits: Tensor, held_out: Tensor) -> float:
    asked = held_out > 0
    return (hits[asked] / held_out[asked]).mean().item()


def _uneven_batches(epoch_mean) -> float:
    """A distância à média de dez perdas, em lotes de 4, 4 e 2."""
    losses = torch.arange(10.0) ** 2
    return abs(epoch_mean(list(losses.split(4))) - losses.mean().item())


def _beta_at_the_end(beta) -> float:
    """Quanto falta a β para 1 no último passo de 20 épocas de 10, com aquecimento de 50 passos."""
    return 1.0 - beta(19, 9, 10, 50)


def _columns_kept(rows) -> float:
    """A distância entre cada linha e a coluna de que ela devia vir."""
    codes = torch.arange(12.0).reshape(4, 3)
    given = rows(codes)
    return max((given[z] - codes[:, z]).abs().max().item() for z in range(3))


def _moves_with_noise(embedding) -> float:
    """Quanto o mapa muda de um sorteio para outro."""
    mean, log_var = torch.zeros(5, 2), torch.zeros(5, 2)
    noises = [torch.randn(5, 2, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    first, second = (embedding(mean, log_var, noise) for noise in noises)
    return (first - second).abs().max().item()


def _with_an_empty_user(recall) -> float:
    """A distância a ½, com um usuário de 1 acerto em 2 e outro sem nada a acertar; infinita, se não for um número."""
    found = recall(torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.0]))
    return abs(found - 0.5) if found == found else float("inf")


SPECIMENS = (
    Specimen(
        "média das médias",
        *(mean_of_means, mean_of_all),
        seen_in="catalyst #799; nolearn #247; parentes: scvi-tools #1854 e YannDubs/disentangling-vae #70",
        check="a média não depende de como se corta em lotes",
        error=_uneven_batches,
        tolerance=1e-5,
        caught_by="tests/test_training.py::test_fit_equals_the_loop_written_by_hand",
    ),
    Specimen(
        "aquecimento que recomeça",
        *(restarting_warmup, warmup),
        seen_in="MaurizioFD/RecSys2019_DeepLearning_Evaluation #2; parente: scvi-tools #1569",
        check="β no último passo",
        error=_beta_at_the_end,
        tolerance=1e-9,
        caught_by="tests/test_training.py::test_fit_equals_the_loop_written_by_hand",
    ),
    Specimen(
        "forma por transposta",
        *(reshaped, transposed),
        seen_in="YannDubs/disentangling-vae #64 e #78",
        check="cada linha é a coluna de onde veio",
        error=_columns_kept,
        tolerance=1e-9,
        caught_by="tests/test_disentanglement.py::test_mutual_information_of_four_examples_by_hand",
    ),
    Specimen(
        "sorteio por endereço",
        *(sample_as_embedding, mean_as_embedding),
        seen_in="cellarium-ml PR #328",
        check="o mapa não muda com o sorteio",
        error=_moves_with_noise,
        tolerance=1e-9,
        caught_by="tests/test_evaluation.py::test_active_units_ignore_collapsed_dimensions",
    ),
    Specimen(
        "divisão por ninguém",
        *(divided_by_empty, mean_over_those_with_targets),
        seen_in="ustcllm/RecStudio #24",
        check="um usuário sem nada a acertar",
        error=_with_an_empty_user,
        tolerance=1e-6,
        caught_by="tests/test_ranking.py::test_what_cannot_be_scored_is_refused_in_portuguese",
    ),
)
