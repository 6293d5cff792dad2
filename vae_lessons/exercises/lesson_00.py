"""Exercícios da lição 00: aprender a responder."""

import torch

from vae_lessons.exercises.checking import Exercise, Mistake, on_cases

_DARK = torch.tensor([[30, 60, 90, 100]], dtype=torch.uint8)  # sem preto nem branco
_GREY = torch.tensor([[0, 51, 102], [153, 204, 255]], dtype=torch.uint8)

EXERCISES = (
    Exercise(
        id="00.1",
        solution=64,
        mistakes=(
            Mistake(8, "8 é a altura (e a largura) da imagem. O número de pixels D é altura vezes largura."),
            Mistake(16, "16 é a soma de altura e largura. O número de pixels D é o produto delas."),
            Mistake(16 * 16, "256 é o número de níveis de cinza. D conta os pixels: altura vezes largura."),
        ),
        insight="Cada dígito é um vetor de 64 números.",
        hint="Conte os pixels de uma linha e o número de linhas.",
    ),
    Exercise(
        id="00.2",
        solution=lambda x: x / 255,
        mistakes=(
            Mistake(
                lambda x: x / 256,
                "você dividiu por 256, e o branco (255) ficou em 0,996. O maior valor é 255: divida por ele.",
            ),
            Mistake(
                lambda x: (x - x.min()) / (x.max() - x.min()),
                "aqui o menor e o maior valor presentes viraram 0 e 1. A escala não pode depender da imagem: uma imagem "
                "escura deve continuar escura.",
            ),
            Mistake(
                lambda x: x // 255,
                "a divisão inteira // joga fora a fração: todo cinza virou 0. Use a divisão comum, /.",
            ),
            Mistake(lambda x: x, "os valores ainda vão de 0 a 255. Falta dividir pelo maior valor possível."),
            Mistake(
                lambda x: x / x.max(),
                "aqui deu certo por sorte: você dividiu pelo maior valor presente, e numa imagem escura ele é menor que "
                "255. A escala não pode depender da imagem.",
            ),
        ),
        measure=on_cases((_GREY,), (_GREY[:1],), (_DARK,)),
        insight="É assim que a biblioteca leva os pixels para o intervalo [0, 1].",
    ),
)
