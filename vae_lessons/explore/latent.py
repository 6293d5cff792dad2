"""O explorador do espaço latente de um VAE treinado.

A cada movimento só se decodifica um z e se pinta um marcador sobre um mapa já pronto: poucos milissegundos.
"""

import io
import math

import ipywidgets as widgets
import numpy as np
import torch
from ipywidgets import Layout
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vae_lessons.data import Dataset, binarize
from vae_lessons.evaluation import posterior_mean_variance
from vae_lessons.explore.base import ROUNDING, ExactSlider, Explorer, group, png_bytes, row, text
from vae_lessons.models import VAE, evaluating
from vae_lessons.plotting import CLASS_COLORS, latent_scatter, png

_SEED = 0
_STEP = 0.1  # dos controles de z, em unidades de z
_TOO_SMALL = 1e-6  # norma ou seno abaixo do qual não há direção
_MAP_SIDE = 4.0  # polegadas, mostradas como 400 px
_MAP_DPI = 150  # mais pontos que os 400 px, para telas densas
_INSIDE, _OUTSIDE = 254, 255  # índices da paleta reservados ao marcador: miolo preto, contorno branco
_CLEAR = -1
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

_CAPTIONS = {
    "média": "<b>Média de p(x|z)</b>, pixel a pixel: não é uma amostra.",
    "amostra": "<b>Amostra de p(x|z)</b>: cada pixel foi sorteado.",
}


def explore_latent(model: VAE, data: Dataset) -> "LatentExplorer":
    """Um explorador do espaço latente de `model`, com as imagens de `data` (em geral as de teste) no mapa.

    Levanta TypeError se `model` não for um VAE ou `data` não for um Dataset, e ValueError se as imagens não servirem
    ao modelo, forem menos de duas, ou se o modelo devolver NaN ou infinito.
    """
    _require_compatible(model, data)
    return LatentExplorer(model, data)


class LatentExplorer(Explorer):
    """O mapa das médias de q(z|x), por classe, ao lado da imagem decodificada de z.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
        "z0", "z1", ...            um por dimensão latente, contadas de 0 como no código; na tela são z₁, z₂, ...
        "random", "zero"           botões: z ~ p(z) e z = média da prior
        "index", "encode"          escolhe uma imagem e leva z à média da posterior dela
        "from_index", "to_index", "position", "path"     z no caminho, reto ou esférico, entre duas imagens codificadas
        "show"                     "média" de p(x|z) ou "amostra"
    picture: ipywidgets.Image com a imagem decodificada, PNG em cinza de 8 bits na resolução dos dados ·
    map: ipywidgets.Image com o mapa e o marcador em z · caption: ipywidgets.HTML que diz o que `picture` mostra.
    Com mais de duas dimensões latentes, o mapa mostra as duas mais ativas e os controles vão da mais ativa à menos.
    Imagens em tons de cinza são binarizadas (sorteio fixo) para um modelo "bernoulli". O modelo não é alterado, e o
    mapa fica como era quando o explorador foi criado. Os sorteios têm semente própria.
    """

    def __init__(self, model: VAE, data: Dataset):
        self.model = model
        self.data = data
        x = binarize(data.x, "static" if model.likelihood == "bernoulli" else "none").to(_device(model))
        with evaluating(model):
            self.means = model.encode(x).mean.cpu()
            if self.means.shape[1:] != (model.latent_dim,):
                raise TypeError(
                    "explore_latent percorre latentes contínuos, com a média da posterior [B, Z], mas a de "
                    f"{type(model).__name__} tem forma {tuple(self.means.shape)}. Num modelo de latentes categóricos, "
                    "troque um código de cada vez e decodifique com model.decode."
                )
            activity = posterior_mean_variance(model, x).tolist()
        if not self.means.isfinite().all():
            raise ValueError("O codificador devolveu NaN ou infinito. Treine o modelo de novo antes de explorá-lo.")
        order = list(range(model.latent_dim))
        if model.latent_dim > 2:
            order.sort(key=lambda dim: activity[dim], reverse=True)
        self._latent_map = _LatentMap(self.means, data.y.cpu(), order[:2])
        self._generator = torch.Generator(_device(model)).manual_seed(_SEED)
        self._moving = False

        self.picture = widgets.Image(format="png", layout=_picture_layout(data.image_shape))
        self.picture.add_class("vae-pixels").add_class("vae-picture")
        self.map = widgets.Image(format="png", layout=Layout(width="400px", height="400px"))
        self.caption = text(_CAPTIONS["média"])
        self.controls = {
            **_latent_sliders(model, activity),
            "random": widgets.Button(description="z ao acaso", tooltip="Sorteia z da prior p(z)"),
            "zero": widgets.Button(description="Voltar a zero", tooltip="Leva z à média da prior"),
            "encode": widgets.Button(
                description="Codificar",
                layout=Layout(margin="2px 2px 2px 56px", width="80px"),
                tooltip="Leva z à média de q(z|x) da imagem escolhida",
            ),
            **_image_choosers(data),
            **_path_controls(),
            "show": widgets.ToggleButtons(
                options=list(_CAPTIONS),
                tooltips=["O valor esperado de cada pixel", "Cada pixel sorteado de p(x|z)"],
                style={"button_width": "110px"},
            ),
        }
        super().__init__(*self._arrange(order))
        self._listen()
        self._render()

    def __repr__(self) -> str:
        return f"LatentExplorer(latent_dim={self.model.latent_dim}, {len(self.data)} imagens de {self.data.name!r})"

    def static_png(self) -> bytes:
        """`figure()` como PNG."""
        return png(self.figure(), dpi=100)

    def figure(self) -> Figure:
        """O mapa e a imagem decodificada, como estão agora, lado a lado numa figura do matplotlib."""
        fig = Figure(figsize=(7.4, 4.2))
        left, right = fig.add_axes((0.0, 0.0, 4.2 / 7.4, 1.0)), fig.add_axes((0.60, 0.12, 0.37, 0.65))
        left.imshow(_pixels(self.map.value, "RGB"), interpolation="antialiased")
        right.imshow(_pixels(self.picture.value, "L"), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        left.axis("off")
        right.set(xticks=[], yticks=[])
        kind = "Média" if self.controls["show"].value == "média" else "Amostra"
        right.set_title(f"{kind} de p(x|z) no ponto marcado", fontsize=10)
        return fig

    @property
    def z(self) -> Tensor:
        """O z que os controles marcam, [Z], no dispositivo do modelo."""
        values = [self.controls[f"z{dim}"].value for dim in range(self.model.latent_dim)]
        return torch.tensor(values, dtype=self.means.dtype, device=_device(self.model))

    def _listen(self) -> None:
        for dim in range(self.model.latent_dim):
            self.controls[f"z{dim}"].observe(self._follow_sliders, "value")
        self.controls["show"].observe(lambda _: self._render(), "value")
        for name in ("from_index", "to_index", "position", "path"):
            self.controls[name].observe(self._interpolate, "value")
        self.controls["random"].on_click(lambda _: self._move(self.model.prior.sample(self._generator)))
        self.controls["zero"].on_click(lambda _: self._move(self.model.prior.mean))
        self.controls["encode"].on_click(lambda _: self._move(self.means[self.controls["index"].value]))

    def _interpolate(self, _change) -> None:
        start, end = (self.means[self.controls[name].value] for name in ("from_index", "to_index"))
        path = slerp if self.controls["path"].value == "esférica" else torch.lerp
        self._move(path(start.double(), end.double(), self.controls["position"].value))

    def _follow_sliders(self, _change) -> None:
        """Desenha se z mudou de fato: o navegador devolve o valor que recebeu, com um erro de arredondamento."""
        if not self._moving and (self.z - self._drawn).abs().max() > ROUNDING:
            self._render()

    def _move(self, z: Tensor) -> None:
        """Leva todos os controles a z [Z] e desenha uma vez só."""
        self._moving = True
        try:
            for dim, value in enumerate(z.to(self.means.dtype).tolist()):
                self.controls[f"z{dim}"].place(value)
        finally:
            self._moving = False
        self._render()

    def _render(self) -> None:
        z = self._drawn = self.z
        shown = self.controls["show"].value
        with evaluating(self.model):
            likelihood = self.model.decode(z[None])  # convoluções e normalizações pedem um lote
            image = likelihood.mean if shown == "média" else likelihood.sample(self._generator)
        grey = (image.clamp(0, 1) * 255).round().to(torch.uint8)
        self.caption.value = _CAPTIONS[shown]
        self.picture.value = _grey_png(grey, self.data.image_shape)
        self.map.value = self._latent_map.png(z.tolist())

    def _arrange(self, order: list[int]) -> list[widgets.Widget]:
        """Mapa à esquerda; imagem e controles de z à direita; embaixo, o que leva z a imagens codificadas."""
        c = self.controls
        sliders = widgets.VBox(
            [c[f"z{dim}"] for dim in order], layout=Layout(max_height="180px", overflow="hidden auto")
        )
        for slider in sliders.children:
            slider.layout.flex = "0 0 auto"  # senão os controles se espremem em vez de rolar
        ranking = [text("Da dimensão mais ativa à menos ativa:")] if len(order) > 2 else []
        left = widgets.VBox([self.map, text("Mapa: médias de q(z|x), cor e número = classe; ◉ = z atual.")])
        right = widgets.VBox(
            [self.caption, self.picture, c["show"], *ranking, sliders, row(c["random"], c["zero"])],
            layout=Layout(width="400px", grid_gap="4px", align_items="center"),
        )
        encode = group("Codificar uma imagem", _thumbnail(self.data, c["index"]), _column(c["index"], c["encode"]))
        interpolate = group(
            "Interpolar entre duas imagens",
            _thumbnail(self.data, c["from_index"]),
            _column(c["from_index"], c["to_index"]),
            _thumbnail(self.data, c["to_index"]),
            _column(c["path"], c["position"]),
        )
        return [row(left, right), row(encode, interpolate)]


class _LatentMap:
    """O mapa, desenhado uma vez em cores de paleta, e o marcador, pintado por cima a cada z."""

    def __init__(self, means: Tensor, labels: Tensor, dims: list[int]):
        self.dims = dims
        fig = _plane_map(means, labels, dims) if len(dims) == 2 else _line_map(means, labels)
        fig.set_size_inches(_MAP_SIDE, _MAP_SIDE)
        background = Image.open(io.BytesIO(png(fig, dpi=_MAP_DPI))).convert("RGB")
        background = background.quantize(_INSIDE, dither=Image.Dither.NONE)
        self._background = np.asarray(background)
        colors = background.getpalette()
        self._palette = colors + [0] * (3 * _OUTSIDE - len(colors)) + [255, 255, 255]
        ax = fig.axes[0]
        self._frame, self._limits = ax.get_position(), (ax.get_xlim(), ax.get_ylim())
        height = round(self._frame.height * len(self._background))
        self._marker = _target() if len(dims) == 2 else _vertical_line(height)

    def png(self, z: list[float]) -> bytes:
        """O mapa com o marcador em z, ou na borda mais próxima quando z cai fora dele."""
        pixels = self._background.copy()
        row, column = self._pixel(z)
        _paint(pixels, self._marker, row, column)
        height, width = pixels.shape
        picture = Image.frombytes("P", (width, height), pixels.tobytes())
        picture.putpalette(self._palette)
        return png_bytes(picture)

    def _pixel(self, z: list[float]) -> tuple[int, int]:
        """(linha, coluna) do marcador; com um só latente, a linha é a do meio."""
        fractions = [
            min(max((z[dim] - low) / (high - low), 0.0), 1.0)
            for dim, (low, high) in zip(self.dims, self._limits, strict=False)
        ]
        across, up = fractions if len(fractions) == 2 else (fractions[0], 0.5)
        height, width = self._background.shape
        row = (1 - self._frame.y0 - up * self._frame.height) * height
        return round(row), round((self._frame.x0 + across * self._frame.width) * width)


def slerp(start: Tensor, end: Tensor, t: float) -> Tensor:
    """Ponto t ∈ [0, 1] do caminho esférico de start [Z] a end [Z]: t = 0 dá start, t = 1 dá end.

    A direção gira por igual no arco de círculo máximo (Shoemake, 1985, "Animating rotation with quaternion curves") e
    a norma varia em linha reta: não se passa pelo miolo, onde quase não há massa da prior quando Z é grande.
    Sem direção definida (norma quase nula) ou com direções quase iguais, o caminho é a reta. Entre direções opostas há
    infinitos arcos: toma-se sempre o mesmo, exceto com Z = 1, em que não há para onde girar e o caminho é a reta.
    """
    start_norm, end_norm = start.norm(), end.norm()
    if min(start_norm, end_norm) < _TOO_SMALL:
        return torch.lerp(start, end, t)
    u, v = start / start_norm, end / end_norm
    angle = 2 * torch.atan2((v - u).norm(), (v + u).norm())  # Kahan: exato também perto de 0 e de π
    if math.pi - angle < _TOO_SMALL and len(u) > 1:
        v = torch.nn.functional.one_hot(u.abs().argmin(), len(u)).to(u)  # o eixo mais afastado de u
    across = v - (u @ v) * u
    if angle < _TOO_SMALL or across.norm() < _TOO_SMALL:
        return torch.lerp(start, end, t)
    direction = torch.cos(t * angle) * u + torch.sin(t * angle) * across / across.norm()
    return torch.lerp(start_norm, end_norm, t) * direction


def _plane_map(means: Tensor, labels: Tensor, dims: list[int]) -> Figure:
    fig = latent_scatter(means, labels, dims=tuple(dims))
    reach = 1.05 * max(3.0, means[:, dims].abs().max().item())
    fig.axes[0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    return fig


def _line_map(means: Tensor, labels: Tensor) -> Figure:
    """Com um só latente: uma fileira por classe, um traço por imagem."""
    fig = Figure(layout="constrained")
    ax = fig.subplots()
    colors = [CLASS_COLORS[label % len(CLASS_COLORS)] for label in labels.tolist()]
    ax.scatter(means[:, 0], labels, marker="|", s=140, color=colors, alpha=0.75)
    reach = 1.05 * max(3.0, means.abs().max().item())
    ax.set(xlim=(-reach, reach), xlabel="z₁", ylabel="classe", yticks=labels.unique().tolist())
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def _target() -> np.ndarray:
    """Marcador redondo, preto com contorno branco: vê-se sobre qualquer cor e em cinza."""
    rows, columns = np.mgrid[-14:15, -14:15]
    radius = np.hypot(rows, columns)
    marker = np.full(radius.shape, _CLEAR)
    marker[(radius <= 5.5) | ((radius > 7) & (radius <= 14))] = _OUTSIDE
    marker[(radius <= 3.5) | ((radius > 8.5) & (radius <= 12))] = _INSIDE
    return marker


def _vertical_line(height: int) -> np.ndarray:
    marker = np.full((height, 7), _OUTSIDE)
    marker[:, 2:5] = _INSIDE
    return marker


def _paint(pixels: np.ndarray, marker: np.ndarray, row: int, column: int) -> None:
    """Pinta `marker`, centrado em (row, column), sobre `pixels`, no lugar; o que passa da borda é cortado."""
    rows, columns = np.nonzero(marker != _CLEAR)
    values = marker[rows, columns]
    rows, columns = rows + row - marker.shape[0] // 2, columns + column - marker.shape[1] // 2
    height, width = pixels.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    pixels[rows[inside], columns[inside]] = values[inside]


def _latent_sliders(model: VAE, activity: list[float]) -> dict[str, ExactSlider]:
    means, spreads = model.prior.mean.tolist(), (0.5 * model.prior.log_var).exp().tolist()
    return {
        f"z{dim}": ExactSlider(
            value=mean,
            min=mean - 3 * spread,
            max=mean + 3 * spread,
            step=_STEP,
            readout_format=".1f",
            description=f"z{dim + 1}".translate(_SUBSCRIPTS),
            tooltip=f"Variância da média de q(z|x) nesta dimensão: {variance:.2f}".replace(".", ","),
            style={"description_width": "34px"},
            layout=Layout(width="370px"),
        )
        for dim, (mean, spread, variance) in enumerate(zip(means, spreads, activity, strict=True))
    }


def _image_choosers(data: Dataset) -> dict[str, widgets.BoundedIntText]:
    """Os caminhos começam na primeira imagem e terminam na primeira de outra classe, se houver."""
    other = int((data.y != data.y[0]).int().argmax()) or 1
    return {
        name: widgets.BoundedIntText(
            value=value,
            max=len(data) - 1,
            description=description,
            tooltip=f"Número da imagem, de 0 a {len(data) - 1}",
            style={"description_width": "52px"},
            layout=Layout(width="136px"),
        )
        for name, value, description in (("index", 0, "imagem"), ("from_index", 0, "de"), ("to_index", other, "até"))
    }


def _path_controls() -> dict[str, widgets.Widget]:
    return {
        "position": widgets.FloatSlider(
            max=1.0,
            step=0.01,
            readout_format=".2f",
            description="posição",
            tooltip="0 é a primeira imagem; 1, a segunda",
            style={"description_width": "70px"},
            layout=Layout(width="290px"),
        ),
        "path": widgets.ToggleButtons(
            options=["reta", "esférica"],
            tooltips=["Em linha reta", "Gira a direção de z e varia a norma aos poucos"],
            style={"button_width": "84px"},
            layout=Layout(margin="2px 2px 2px 72px"),
        ),
    }


def _thumbnail(data: Dataset, chooser: widgets.BoundedIntText) -> widgets.Image:
    """A imagem original que `chooser` escolhe, e que o acompanha."""
    picture = widgets.Image(format="png", layout=Layout(width="64px", height="64px"))
    picture.add_class("vae-pixels")

    def update(_change=None) -> None:
        picture.value = _grey_png(data.x[chooser.value], data.image_shape)

    chooser.observe(update, "value")
    update()
    return picture


def _picture_layout(image_shape: tuple[int, int]) -> Layout:
    height, width = (round(260 * side / max(image_shape)) for side in image_shape)
    return Layout(width=f"{width}px", height=f"{height}px", flex="0 0 auto")


def _column(*children: widgets.Widget) -> widgets.VBox:
    return widgets.VBox(children)


def _grey_png(pixels: Tensor, image_shape: tuple[int, int]) -> bytes:
    """uint8 [D] → PNG em cinza, um ponto por pixel."""
    return png_bytes(Image.fromarray(pixels.reshape(image_shape).cpu().numpy()))


def _pixels(png_bytes: bytes, mode: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png_bytes)).convert(mode))


def _device(model: VAE) -> torch.device:
    return model.prior.mean.device


def _require_compatible(model: VAE, data: Dataset) -> None:
    if not isinstance(model, VAE):
        raise TypeError(f"explore_latent espera um VAE (vae_lessons.models.VAE), mas veio {type(model).__name__}.")
    if not isinstance(data, Dataset):
        raise TypeError(
            f"explore_latent espera um Dataset, com imagens e classes, mas veio {type(data).__name__}. "
            'Use, por exemplo, load("digits", "test").'
        )
    if data.x.ndim != 2 or len(data) < 2:
        raise ValueError(f"São precisas ao menos duas imagens, com x [N, D], mas x tem forma {tuple(data.x.shape)}.")
    n_pixels = data.x.shape[1]
    if data.image_shape is None or math.prod(data.image_shape) != n_pixels:
        raise ValueError(
            f"image_shape deve ser (H, W) com H·W = D = {n_pixels}, mas veio {data.image_shape}: sem isso não se sabe "
            "desenhar a imagem."
        )
    with evaluating(model):
        decoded = model.decode(model.prior.mean[None]).mean
    if decoded.shape[-1] != n_pixels:
        raise ValueError(
            f"O modelo foi feito para imagens de {decoded.shape[-1]} pixels, e as de {data.name!r} "
            f"têm {n_pixels}. Use o conjunto de dados com que o modelo foi treinado."
        )
    if not decoded.isfinite().all():
        raise ValueError("O decodificador devolveu NaN ou infinito. Treine o modelo de novo antes de explorá-lo.")
