"""Exercícios da lição 00: aprender a responder, e o que é um modelo gerador."""

import torch

from vae_lessons.exercises.checking import Exercise, Mistake, on_cases
from vae_lessons.exercises.measuring import letters

_P = torch.tensor([0.0, 0.3, 0.5, 0.8, 1.0])
_U = torch.tensor([[0.1, 0.25, 0.6, 0.75, 0.99], [0.7, 0.9, 0.2, 0.85, 0.05], [0.4, 0.31, 0.45, 0.1, 0.5]])

EXERCISES = (
    Exercise(
        id="00.1",
        solution=len(str(2**784)),
        mistakes=(
            Mistake(
                784,
                "784 é o número de pixels, e o log₂ do número de imagens. Aqui se contam os algarismos em base 10.",
            ),
            Mistake(236, "236 é a parte inteira de log₁₀ do número. Quantos algarismos tem 10, cujo log₁₀ é 1?"),
            Mistake(
                4,
                "4 são os algarismos de 2 · 784. Cada pixel a mais não soma imagens: multiplica o número delas por 2.",
            ),
            Mistake(1568, "1568 é 2 · 784. Cada pixel a mais não soma imagens: multiplica o número delas por 2."),
            Mistake(
                6, "6 é de 784², o número de pares de pixels. Cada pixel tem duas possibilidades: é 2 elevado a 784."
            ),
            Mistake(
                1889,
                "aqui cada pixel teve 256 níveis de cinza. A pergunta é para pixels pretos ou brancos: duas possibilidades cada um.",
            ),
            Mistake(
                torch.tensor(2.0**784, dtype=torch.float64),
                "esse é o próprio número. Quantos algarismos ele tem? Experimente len(str(...)).",
            ),
        ),
        insight="Quase todas essas imagens são chuvisco.",
        hint="Cada pixel multiplica por 2 o número de imagens; str(n) dá os algarismos de n.",
    ),
    Exercise(
        id="00.2",
        solution=lambda p, u: (u < p).float(),
        mistakes=(
            Mistake(
                lambda p, u: (u > p).float(),
                "a desigualdade está ao contrário: assim o pixel acende com probabilidade 1 − p. Experimente com p = 0 e com p = 1.",
            ),
            Mistake(
                lambda p, u: (u > 1 - p).float(),
                "esse sorteio também é justo: acende com probabilidade p. Mas aqui se compara número a número, e devem acender os u pequenos.",
            ),
            Mistake(
                lambda p, u: (p > 0.5).float().expand(u.shape),
                "aqui não há sorteio: todas as imagens saem iguais, a mais provável. É u que deve decidir cada pixel.",
            ),
            Mistake(
                lambda p, u: (u < 0.5).float(),
                "assim todo pixel acende metade das vezes, seja qual for p. Compare cada u com o p do seu pixel.",
            ),
            Mistake(
                lambda p, u: p.expand(u.shape),
                "essas são as probabilidades, ou a imagem média: uma amostra só tem zeros e uns.",
            ),
            Mistake(
                lambda p, u: p * u,
                "o produto p · u é um tom de cinza. Um pixel sorteado acende, 1, ou não, 0: compare u com p.",
            ),
            Mistake(
                lambda p, u: torch.round(p * u),
                "arredondar p · u não dá a probabilidade p: com p = 0,5 o pixel nunca acenderia. Compare u com p.",
            ),
            Mistake(
                lambda p, u: (u[:, :1] < p).float(),
                "um só u decidiu a imagem inteira: os pixels deixaram de ser sorteados cada um por si.",
            ),
        ),
        measure=on_cases((_P, _U), (_P.flip(0), _U[:1]), (torch.full((5,), 0.3), _U)),
        insight="Com as frequências dos pixels no lugar de p, saem nuvens como as da linha do meio da figura.",
        hint="Use o u que veio, sem sortear de novo. Com que probabilidade um número uniforme cai abaixo de 0,3?",
    ),
    Exercise(
        id="00.3",
        solution=-116.0,
        tolerance=7.0,
        mistakes=(
            Mistake(
                -150.0,
                "essa é a do modelo de dois números. Crie outro, com latent_dim=16, e treine-o com os mesmos SETTINGS.",
            ),
            Mistake(34.0, "esse parece o ganho, em nats. Entregue a própria ELBO do modelo novo."),
            Mistake(-262.0, "essa parece a da primeira época. A última do histórico é history.elbo[-1]."),
        ),
        insight="São dezenas de nats a mais que com dois números.",
        hint="Crie o modelo com latent_dim=16, treine-o com fit(..., train, SETTINGS) e entregue .elbo[-1] do histórico.",
    ),
    Exercise(
        id="00.4",
        solution="abc",
        mistakes=(
            Mistake("ab", "falta uma. Que probabilidade tem, para ele, uma imagem que não está entre as guardadas?"),
            Mistake("abcd", "uma não vale. Quanto é o logaritmo de zero, e o que ele faz a uma média?"),
            Mistake(
                "abce",
                "uma não vale. Guardar mais imagens faz alguma imagem de teste coincidir, pixel a pixel, com uma guardada?",
            ),
            Mistake(
                "abd",
                "a média de log p(x) no teste não pode ser boa: que probabilidade têm, para ele, as imagens de teste?",
            ),
        ),
        measure=letters("abcde"),
        insight="Amostras perfeitas, e nada aprendido: por isso se mede log p(x) no teste.",
        hint="Pense em que imagens ele pode entregar, e com que probabilidade.",
    ),
)
