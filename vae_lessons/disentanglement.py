"""Um código separa os fatores que geraram os dados? Duas notas publicadas, a MIG e a DCI, e o que elas medem.

Nos dois casos, `codes` [N, Z] traz o código de cada exemplo e `factors` [N, F], o de cada fator nele. O código pode
ser um sorteio de q(z|x), como na MIG de Chen et al. (2018), e então o ruído de q conta, ou a média de q(z|x), como em
Locatello et al. (2019), e então um latente quase inativo, cujas diferenças o ruído afogaria, pode parecer informativo.
As duas supõem que os fatores, na amostra, são independentes, como num fatorial completo.
"""

import math

import torch
from torch import Tensor

_DCI_EXAMPLES = 10_000
_DCI_TREES = 10
_DCI_LEAF = 0.005


def mutual_information(codes: Tensor, factors: Tensor, *, n_bins: int = 20) -> Tensor:
    """I(z_j; v_k) de cada dimensão do código com cada fator, em nats: float64 [Z, F].

    codes: [N, Z]; em ponto flutuante, cada dimensão é cortada em n_bins faixas de mesma largura, do seu mínimo ao seu
    máximo (Locatello et al., 2019, apêndice C); inteiros já são discretos e ficam como vieram ·
    factors: inteiros [N, F], com ao menos dois valores cada.
    É a informação mútua das frequências observadas, que com poucos exemplos parece maior do que é: em média, se z_j e
    v_k são independentes, (b − 1)(K − 1) / 2N nats para b faixas ocupadas e K valores do fator (Miller, 1955). Com
    poucas imagens, sorteie vários códigos de cada: torch.cat([q.sample() for _ in range(48)]), factors.repeat(48, 1).
    Não muda com a ordem dos exemplos, nem, a menos de arredondamento, se um código troca de sinal ou de escala.
    Levanta ValueError se as formas não casarem, se um fator tiver um valor só, se um código não for finito ou se
    n_bins < 2, e TypeError se não forem tensores ou se os fatores não forem inteiros.
    """
    codes, factors = _checked(codes, factors)
    if n_bins < 2:
        raise ValueError(
            f"n_bins, o número de faixas em que se corta cada código, deve ser ao menos 2, e veio {n_bins}."
        )
    code_labels = [_labels(_binned(column, n_bins)) for column in codes.T]
    factor_labels = [_labels(column) for column in factors.T]
    information = [[_information(z, v) for v in factor_labels] for z in code_labels]
    return torch.tensor(information, dtype=torch.float64)


def mutual_information_gap(codes: Tensor, factors: Tensor, *, n_bins: int = 20) -> float:
    """MIG: média, sobre os fatores, de (maior − segunda maior I(z_j; v_k)) / H(v_k) (Chen et al., 2018, eq. 6).

    Vale 1 se cada fator está inteiro numa dimensão do código e em nenhuma outra; 0 se a melhor dimensão para cada fator
    não sabe mais sobre ele que a segunda, seja porque nenhuma sabe, seja porque as duas o repartem.
    codes: [N, Z ≥ 2], factors: inteiros [N, F], n_bins: como em mutual_information. O viés desta aparece igual nas duas
    dimensões que se subtraem, se nenhuma sabe do fator, e cancela; se uma sabe tudo, sobra o da outra, e a nota perde
    (n_bins − 1)(K − 1) / (2N log K): meio por cento, com 8 valores e 6.144 exemplos.
    Levanta o mesmo que mutual_information, e ValueError se Z < 2.
    """
    information = mutual_information(codes, factors, n_bins=n_bins)
    if len(information) < 2:
        raise ValueError(
            "A MIG compara as duas melhores dimensões do código para cada fator, mas o código só tem uma (Z = 1). Use "
            "um modelo com latent_dim ≥ 2."
        )
    best, second = information.topk(2, dim=0).values
    entropy = torch.stack([_entropy(_labels(column)) for column in factors.cpu().T])
    return ((best - second) / entropy).mean().item()


def dci_disentanglement(codes: Tensor, factors: Tensor, *, seed: int = 0) -> float:
    """A nota D, de *disentanglement*, de DCI (Eastwood e Williams, 2018, seção 2): cada dimensão serve a um fator só?

    Uma floresta aleatória prevê cada fator a partir do código, e R_jk é a importância de z_j para v_k. A linha j,
    normalizada, é uma distribuição sobre os fatores, de entropia H_j na base F, e
        D = Σ_j ρ_j (1 − H_j),  ρ_j = Σ_k R_jk / Σ_jk R_jk
    Vale 1 se cada dimensão usada serve a um só fator (que pode ocupar várias); 0 se todas servem a todos por igual. Uma
    que sirva a 2 de F fatores por igual ganha 1 − log_F 2: misturá-los aos pares só dá zero se F = 2.
    codes: [N, Z] · factors: inteiros [N, F ≥ 2] · seed: sorteio da floresta e, se N > 10.000, dos 10.000 exemplos que
    ela vê; muda a nota em cerca de 0,01. São 10 árvores, que escolhem cada corte entre todas as dimensões e param em
    folhas com 0,5% dos exemplos, para não decorar ruído. Como só a ordem dos valores conta, a nota não muda se um
    código passa por uma função crescente.
    Não se compara às tabelas de quem usa árvores com *boosting*, como Locatello et al. (2019), também com 10.000
    exemplos: num código imperfeito, a nota delas é maior. Num alinhado, com ruído de meio desvio padrão e 6.144
    exemplos, medimos 0,67 aqui e 0,71 lá, que levam 32 s em vez de 1 s; com 2.000 exemplos, 0,43 e 0,52.
    Levanta o mesmo que mutual_information, e ValueError se F < 2.
    """
    codes, factors = _checked(codes, factors)
    n_factors = factors.shape[1]
    if n_factors < 2:
        raise ValueError(
            "A nota D pergunta a qual dos fatores cada dimensão serve: precisa de ao menos dois, e veio um."
        )
    importance = _importance(codes, factors, seed)
    share = importance / importance.sum(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    entropy = -torch.xlogy(share, share).sum(1) / math.log(n_factors)
    weight = importance.sum(1) / importance.sum().clamp(min=torch.finfo(torch.float64).tiny)
    return (weight * (1 - entropy)).sum().item()


def _importance(codes: Tensor, factors: Tensor, seed: int) -> Tensor:
    """R_jk: quanto z_j reduz a impureza das folhas ao prever v_k, somando 1 em cada coluna: float64 [Z, F]."""
    from sklearn.ensemble import RandomForestClassifier  # demora um segundo: só quem pede a nota espera

    seen = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))[:_DCI_EXAMPLES]
    inputs, targets = codes[seen].double().numpy(), factors[seen].numpy()
    forest = RandomForestClassifier(_DCI_TREES, min_samples_leaf=_DCI_LEAF, max_features=None, random_state=seed)
    columns = [forest.fit(inputs, target).feature_importances_ for target in targets.T]
    return torch.stack([torch.from_numpy(column) for column in columns], dim=1)


def _binned(column: Tensor, n_bins: int) -> Tensor:
    """A faixa de cada valor de uma coluna [N], de 0 a n_bins − 1; inteiros ficam como estão."""
    if not column.is_floating_point():
        return column
    height = column.double() - column.min()
    return (height / height.max() * n_bins).nan_to_num(0).long().clamp(max=n_bins - 1)  # 0/0: todos iguais


def _labels(column: Tensor) -> Tensor:
    """Os valores de uma coluna de inteiros [N] trocados por 0, 1, 2, ..."""
    return column.unique(return_inverse=True)[1]


def _information(a: Tensor, b: Tensor) -> float:
    """I(a; b) = H(a) + H(b) − H(a, b), de rótulos [N]."""
    joint = a * (b.max() + 1) + b
    return (_entropy(a) + _entropy(b) - _entropy(joint)).clamp(min=0).item()


def _entropy(labels: Tensor) -> Tensor:
    """Entropia, em nats, das frequências dos rótulos [N]."""
    frequency = labels.bincount().double() / len(labels)
    return -torch.xlogy(frequency, frequency).sum()


def _checked(codes: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Os dois na CPU e sem gradiente, se servirem; senão, o que falta."""
    if not isinstance(codes, Tensor) or not isinstance(factors, Tensor):
        raise TypeError(
            "codes [N, Z] e factors [N, F], nesta ordem, devem ser tensores, mas vieram "
            f"{type(codes).__name__} e {type(factors).__name__}. De uma q(z|x), use q.sample() ou q.mean; os dados que "
            "trazem factors são os de load('sprites') e load('discs')."
        )
    if codes.ndim != 2 or codes.numel() == 0:
        raise ValueError(f"codes deve ter forma [N, Z], um código para cada exemplo, mas veio {tuple(codes.shape)}.")
    if factors.ndim != 2 or factors.numel() == 0:
        raise ValueError(
            f"factors deve ter forma [N, F], o valor de cada fator em cada exemplo, mas veio {tuple(factors.shape)}. "
            "Para um fator só, use factors[:, None]."
        )
    if len(codes) != len(factors):
        raise ValueError(
            f"codes e factors devem falar dos mesmos exemplos, na mesma ordem, mas vieram {len(codes)} códigos e os "
            f"fatores de {len(factors)} exemplos."
        )
    if factors.is_floating_point():
        raise TypeError(
            f"factors deve trazer índices inteiros, mas veio {factors.dtype}. A ordem dos argumentos é (codes, "
            "factors): se não os trocou, converta com factors.long()."
        )
    codes, factors = codes.detach().cpu(), factors.cpu()
    if codes.is_floating_point() and not codes.isfinite().all():
        raise ValueError(
            "Há NaN ou infinito em codes. O treino divergiu? Veja em torch.isfinite(codes) de que exemplos são."
        )
    constant = (factors == factors[0]).all(0).nonzero().flatten().tolist()
    if constant:
        raise ValueError(
            f"Cada fator deve ter ao menos dois valores, mas os das colunas {constant} têm um só: sem variação não há "
            "o que informar. Retire essas colunas de factors, ou use exemplos em que eles variem."
        )
    return codes, factors
