"""O explorador do espaço latente de um VAE treinado.

A cada movimento só se decodifica um z e se pinta um marcador sobre um mapa já pronto: poucos milissegundos.
"""

import itertools
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from ipywidgets import Layout
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vae_lessons.data import Dataset
from vae_lessons.distributions import Normal, draws
from vae_lessons.distributions import draw as draw_from
from vae_lessons.explore import gestures
from vae_lessons.explore.base import Explorer, column, group, picture, png_bytes, row, text, title
from vae_lessons.explore.drawing import pen_of, strokes_of
from vae_lessons.explore.images import greys_of
from vae_lessons.explore.latent_drawing import encode_drawing, table
from vae_lessons.explore.latent_map import SIDE, LatentMap
from vae_lessons.explore.paths import is_standard_normal, slerp
from vae_lessons.explore.sliders import ROUNDING, ExactSlider
from vae_lessons.models import VAE, evaluating
from vae_lessons.plotting import class_labels, png
from vae_lessons.style import latent_name, number
from vae_lessons.suitability import measured

_SEED = 0
_AT_ONCE = 4096  # imagens codificadas de uma vez: limita a memória
_CANDIDATES = 256  # imagens entre as quais se escolhe a que se mostra primeiro
_STEP = 0.1  # dos controles de z, em unidades de z

_PAPER = (
    "Papel: desenhe com o mouse, o dedo ou a caneta. Pelo teclado, as setas movem a caneta, a barra de espaço a abaixa "
    "ou levanta, e Delete apaga tudo."
)
_CAPTIONS = {
    "média": "<b>Média de p(x|z)</b>, pixel a pixel: não é uma amostra.",
    "amostra": "<b>Amostra de p(x|z)</b>: cada pixel foi sorteado.",
}


def explore_latent(model: VAE, data: Dataset, *, class_names: Sequence[str] | None = None) -> "LatentExplorer":
    """Um explorador do espaço latente de `model`, com as imagens de `data` (em geral as de teste) no mapa.

    data: imagens uint8 ou de ponto flutuante, com ou sem classes; se os números saírem de [0, 1], o menor deles é preto
    e o maior, branco · class_names: class_names[k] é o nome da classe k no mapa; sem eles, o número dela.
    Começa numa imagem codificada, a que o modelo reconstrói melhor entre as primeiras.
    Levanta TypeError se `model` não for um VAE de latentes contínuos ou `data` não for um Dataset, e ValueError se as
    imagens não servirem ao modelo, forem menos de duas, ou se o modelo devolver NaN ou infinito.
    """
    _require_compatible(model, data)
    return LatentExplorer(model, data, class_names)


class LatentNumbers(NamedTuple):
    """z [Z], no dispositivo do modelo · image [D]: a média ou a amostra de p(x|z) · show: qual das duas."""

    z: Tensor
    image: Tensor
    show: str


class LatentExplorer(Explorer):
    """O mapa das médias de q(z|x), por classe, ao lado da imagem decodificada de z.

    controls: dicionário nome → ipywidget. Atribuir `.value` no código (ou chamar `.click()`) equivale a mexer na tela.
        "z0", "z1", ...            um por dimensão latente, contadas de 0 como no código; na tela são z₁, z₂, ...
        "random", "zero"           botões: z ~ p(z) e z = média da prior
        "index", "encode"          escolhe uma imagem e leva z à média da posterior dela
        "from_index", "to_index", "position", "path"     z no caminho, reto ou esférico, entre duas imagens codificadas;
                                   fora do caminho, "position" volta a 0 e se apaga
        "show"                     "média" de p(x|z) ou "amostra"
        "drawing"                  o que se desenhou no papel, em JSON, como em drawing.strokes_of; "" o apaga. Leva z à
                                   média de q(z|x) do desenho, e a elipse dela aparece no mapa
    O ponto do mapa também se arrasta, com o mouse ou o dedo, e anda com as setas do teclado.
    picture: ipywidgets.Image com a imagem decodificada, PNG em cinza de 8 bits na resolução dos dados ·
    map: ipywidgets.Image com o mapa e o marcador em z · caption: ipywidgets.HTML que diz o que `picture` mostra ·
    z, image: como em LatentNumbers · means [N, Z]: as médias de q(z|x) · drawn: um Drawn, ou None sem desenho.
    Com mais de duas dimensões latentes, o mapa mostra as duas mais ativas e os controles vão da mais ativa à menos.
    Imagens uint8 são binarizadas (sorteio fixo) para um modelo "bernoulli". O modelo não é alterado, e o mapa fica como
    era quando o explorador foi criado. Os sorteios têm semente própria.
    """

    static_width = 740  # a de `figure`, a 100 dpi

    def __init__(self, model: VAE, data: Dataset, class_names: Sequence[str] | None = None):
        self.model, self.data, self._greys = model, data, greys_of(data)
        self.means = _posterior_means(model, data)
        activity = self.means.var(0).tolist()
        self.order = order = list(range(model.latent_dim))
        if model.latent_dim > 2:
            order.sort(key=lambda dim: activity[dim], reverse=True)
        center, spread = _center_and_spread(model, self.means)
        labels, standard = None if data.y is None else data.y.cpu(), is_standard_normal(model.prior)
        self._latent_map = LatentMap(self.means, labels, order[:2], prior_circles=standard, class_names=class_names)
        self._named = class_names is not None
        self._names = [] if labels is None else class_labels(labels, class_names)
        self._generator = torch.Generator(_device(model)).manual_seed(_SEED)

        width = round(260 * data.image_shape[1] / max(data.image_shape))
        self.picture, self.map = picture(width, "vae-pixels", "vae-picture"), picture(SIDE)
        self.caption = text()
        self.pen, self.drawn = pen_of(data, self._greys), None
        self._told = text(table(None, self._greys)).add_class("vae-live").add_class("vae-drawn")
        self._map_pad = gestures.pad(self.map, "Mapa dos códigos: arraste o ponto, ou mova-o com as setas do teclado.")
        self._paper = gestures.paper(_PAPER, dark=self.pen.dark)
        sliders = _latent_sliders(center, spread, activity)
        c = self.controls = {
            **sliders,
            **_buttons(center),
            **_image_choosers(data, _clearest(model, data, self.means)),
            **_path_controls(),
            "show": _show_control(),
            "drawing": self._paper.channel,
        }
        self.inputs = (*sliders, "show")
        super().__init__(*self._arrange(order))
        for dim in range(model.latent_dim):
            self.controls[f"z{dim}"].observe(self._follow, "value")
        c["show"].observe(self._follow, "value")
        c["index"].observe(lambda _: self._tell(), "value")
        for name in ("from_index", "to_index", "position", "path"):
            c[name].observe(self._interpolate, "value")
        self._map_pad.channel.observe(self._pointed, "value")
        c["drawing"].observe(self._encode_drawing, "value")
        c["random"].on_click(lambda _: self._go(self._from_the_prior()))
        c["zero"].on_click(lambda _: self._go(center))
        c["encode"].on_click(lambda _: self._go(self.means[c["index"].value]))
        c["encode"].click()

    def __repr__(self) -> str:
        return f"LatentExplorer(latent_dim={self.model.latent_dim}, {len(self.data)} imagens de {self.data.name!r})"

    def values(self) -> dict:
        return {**super().values(), "draw": self._draw}

    def measure(self, *, show: str, draw: int = 0, **z: float) -> LatentNumbers:
        """z0, z1, ...: os latentes · show: "média" ou "amostra" · draw: qual dos sorteios da amostra."""
        z = torch.tensor([z[f"z{dim}"] for dim in range(len(z))], dtype=self.means.dtype, device=_device(self.model))
        with evaluating(self.model):
            likelihood = self.model.decode(z[None])  # convoluções e normalizações pedem um lote
            if show == "média":
                return LatentNumbers(z, likelihood.mean[0], show)
            generator = torch.Generator(z.device).manual_seed(_SEED + draw)
            return LatentNumbers(z, draw_from(likelihood, generator)[0], show)

    def paint(self, numbers: LatentNumbers) -> Image.Image:
        """A imagem decodificada, um ponto por pixel."""
        return Image.fromarray(self._greys.levels(numbers.image))

    def paint_map(self, numbers: LatentNumbers) -> Image.Image:
        """O mapa com z marcado e, se houver um desenho, a elipse da posterior dele."""
        if self.drawn is None or self.drawn.deviation is None:
            return self._latent_map.image(numbers.z.tolist())
        return self._latent_map.image(numbers.z.tolist(), (self.drawn.mean.tolist(), self.drawn.deviation.tolist()))

    def describe(self, numbers: LatentNumbers) -> str:
        z = "; ".join(number(value, 1) for value in numbers.z.tolist()[:10])
        z += "; ..." if len(numbers.z) > 10 else ""
        nearest = int((self.means - numbers.z.cpu()).square().sum(1).argmin())
        return (
            f"Mapa das médias de q(z|x), com z = ({z}) marcado, e a {numbers.show} de p(x|z) nesse ponto. O código "
            f"mais próximo é o da imagem {nearest}{self._class_of(nearest)}."
        )

    def _class_of(self, index: int) -> str:
        return f", da classe {self._names[self.data.y[index]]}" if self._names else ""

    def _alts(self) -> list[str]:
        chosen = [self.controls[name].value for name in ("index", "from_index", "to_index")]
        originals = [f"A imagem {index}{self._class_of(index)}" for index in chosen]
        return ["Mapa dos códigos, com z marcado", *super()._alts(), *originals]

    def static_png(self) -> bytes:
        """`figure()` como PNG."""
        return png(self.figure(), dpi=100)

    def figure(self) -> Figure:
        """O mapa e a imagem decodificada, como estão agora, lado a lado numa figura do matplotlib."""
        fig = Figure(figsize=(7.4, 4.2))
        left, right = fig.add_axes((0.0, 0.0, 4.2 / 7.4, 1.0)), fig.add_axes((0.60, 0.12, 0.37, 0.65))
        left.imshow(np.asarray(self.paint_map(self.numbers).convert("RGB")), interpolation="antialiased")
        right.imshow(self.paint(self.numbers), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        left.axis("off")
        right.set(xticks=[], yticks=[])
        right.set_title(f"{self.numbers.show.capitalize()} de p(x|z) no ponto marcado", fontsize=10)
        return fig

    def _go(self, z: Tensor) -> None:
        self.move(**{f"z{dim}": value for dim, value in enumerate(z.to(self.means.dtype).tolist())})

    def _from_the_prior(self) -> Tensor:
        with evaluating(self.model):
            return draws(self.model.prior, 1, self._generator)[0]

    def _pointed(self, change) -> None:
        """Arrastaram o ponto do mapa, ou o moveram com as setas."""
        kind, (right, down) = gestures.pointed(change["old"], change["new"])
        if kind == "at":
            place = self._latent_map.at(right, down)
        else:
            steps = zip(self._latent_map.dims, (right, -down), strict=False)
            place = {dim: self.controls[f"z{dim}"].value + _STEP * step for dim, step in steps}
        self.move(**{f"z{dim}": round(value, 2) for dim, value in place.items()})

    def _encode_drawing(self, change) -> None:
        strokes = strokes_of(change["new"])
        if strokes:
            bits = getattr(self.model, "likelihood", None) == "bernoulli"
            x = self.pen.image(strokes, self._greys, bits=bits).to(_tensor_of(self.model))
            self.drawn = encode_drawing(self.model, x)
            self._go(self.drawn.mean.cpu())
        else:
            self.drawn = None
            self._show_map()
        self._told.value = table(self.drawn, self._greys)

    def _interpolate(self, _change) -> None:
        if not self._moving:
            self._go(self._on_the_path())

    def _on_the_path(self) -> Tensor:
        """O z [Z] em que os controles do caminho põem."""
        c = self.controls
        start, end = (self.means[c[name].value].double() for name in ("from_index", "to_index"))
        path = slerp if c["path"].value == "esférica" else torch.lerp
        return path(start, end, min(max(c["position"].value, 0.0), 1.0)).to(self.means.dtype)

    def _render(self) -> None:
        self._draw += 1  # cada desenho de uma amostra é outro sorteio
        super()._render()

    def _show(self) -> None:
        super()._show()
        self._show_map()
        self.caption.value = _CAPTIONS[self.numbers.show]
        self._tell_position()

    def _show_map(self) -> None:
        self.map.value = png_bytes(self.paint_map(self.numbers))

    def _tell_position(self) -> None:
        """«posição» só vale se z estiver mesmo lá; senão, volta ao começo, apagada e sem número."""
        position = self.controls["position"]
        on_the_path = bool((self.z.cpu() - self._on_the_path()).abs().max() <= ROUNDING)
        position.number.layout.visibility = "visible" if on_the_path else "hidden"
        (position.remove_class if on_the_path else position.add_class)("vae-cleared")
        if not on_the_path:
            with self._silently():
                position.value = 0.0

    def _arrange(self, order: list[int]) -> list[widgets.Widget]:
        """Mapa à esquerda; imagem e controles de z no meio; embaixo, o que leva z a imagens codificadas; à direita,
        o papel."""
        c = self.controls
        sliders = widgets.VBox(
            [c[f"z{dim}"].with_number() for dim in order],
            layout=Layout(max_height="180px", overflow="hidden auto", align_self="stretch"),
        )
        ranking = [text("Da dimensão mais ativa à menos ativa:")] if len(order) > 2 else []
        colors = "" if self.data.y is None else f" cor, forma e {'nome' if self._named else 'número'} = classe;"
        left = column(SIDE, self._map_pad.box, text(f"Mapa: médias de q(z|x);{colors} a mira = z atual. Arraste-a."))
        right = column(400, self.caption, self.picture, c["show"], *ranking, sliders, row(c["random"], c["zero"]))
        right.layout.align_items = self.picture.layout.align_self = "center"
        encode = group("Codificar uma imagem", self._thumbnail("index"), widgets.VBox([c["index"], c["encode"]]))
        interpolate = group(
            "Interpolar entre duas imagens",
            self._thumbnail("from_index"),
            widgets.VBox([c["from_index"], c["to_index"]]),
            self._thumbnail("to_index"),
            widgets.VBox([c["path"], c["position"].with_number()], layout=Layout(max_width="100%")),
        )
        drawing = column(212, title("Desenhar"), self._paper.box, self._told)
        layout = Layout(flex="0 1 848px", min_width="0", max_width="100%")
        return [row(widgets.VBox([row(left, right), row(encode, interpolate)], layout=layout), drawing)]

    def _thumbnail(self, name: str) -> widgets.Image:
        """A imagem original que o controle `name` escolhe, e que o acompanha."""
        height, width = self.data.image_shape
        image, chooser = picture(round(64 * width / max(height, width)), "vae-pixels"), self.controls[name]

        def update(_change=None) -> None:
            original = self.data.batch(self.data.x[chooser.value][None], "none")[0]
            image.value = png_bytes(Image.fromarray(self._greys.levels(original)))

        chooser.observe(update, "value")
        update()
        return image


def _posterior_means(model: VAE, data: Dataset) -> Tensor:
    """As médias de q(z|x) [N, Z], na CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # avisam do que for chamado de ELBO, e aqui nada é
        x = measured(model, data)
    with evaluating(model):
        parts = [getattr(model.encode(rows.to(_tensor_of(model))), "mean", None) for rows in x.split(_AT_ONCE)]
    if parts[0] is None or parts[0].shape[1:] != (model.latent_dim,):
        found = "não tem média" if parts[0] is None else f"tem forma {tuple(parts[0].shape)}"
        raise TypeError(
            "explore_latent percorre latentes contínuos, com a média da posterior [B, Z], mas a de "
            f"{type(model).__name__} {found}. Num modelo de latentes categóricos, "
            "troque um código de cada vez e decodifique com model.decode."
        )
    means = torch.cat(parts).cpu()
    if not means.isfinite().all():
        raise ValueError("O codificador devolveu NaN ou infinito. Treine o modelo de novo antes de explorá-lo.")
    return means


def _clearest(model: VAE, data: Dataset, means: Tensor) -> int:
    """A imagem, entre as primeiras, mais parecida com a sua média decodificada: a de maior correlação."""
    x = data.batch(data.x[:_CANDIDATES], "none")
    with evaluating(model):
        decoded = model.decode(means[:_CANDIDATES].to(_tensor_of(model))).mean.to(x)
    images, decoded = (part - part.mean(1, keepdim=True) for part in (x, decoded))
    return int(torch.cosine_similarity(images, decoded, dim=1).nan_to_num(-1.0).argmax())


def _center_and_spread(model: VAE, means: Tensor) -> tuple[Tensor, Tensor]:
    """Média e desvio padrão da prior, [Z]; os dos códigos, se ela for de outro tipo que não a normal."""
    if isinstance(model.prior, Normal):
        return model.prior.mean.detach().cpu(), (0.5 * model.prior.log_var).exp().detach().cpu()
    return means.mean(0), means.std(0).clamp(min=_STEP)


def _latent_sliders(center: Tensor, spread: Tensor, activity: list[float]) -> dict[str, ExactSlider]:
    return {
        f"z{dim}": ExactSlider(
            value=mean,
            min=mean - 3 * deviation,
            max=mean + 3 * deviation,
            step=_STEP,
            decimals=1,
            description=latent_name(dim),
            tooltip=f"Variância da média de q(z|x) nesta dimensão: {number(variance, 2)}",
            style={"description_width": "34px"},
            layout=Layout(width="auto"),
        )
        for dim, (mean, deviation, variance) in enumerate(zip(center.tolist(), spread.tolist(), activity, strict=True))
    }


def _buttons(center: Tensor) -> dict[str, widgets.Button]:
    home = "Voltar ao centro" if center.any() else "Voltar a zero"
    return {
        "random": widgets.Button(description="z ao acaso", tooltip="Sorteia z da prior p(z)"),
        "zero": widgets.Button(description=home, tooltip="Leva z à média da prior"),
        "encode": widgets.Button(
            description="Codificar",
            layout=Layout(margin="2px 2px 2px 62px", width="84px"),
            tooltip="Leva z à média de q(z|x) da imagem escolhida",
        ),
    }


def _show_control() -> widgets.ToggleButtons:
    return widgets.ToggleButtons(
        options=list(_CAPTIONS),
        tooltips=["A média de cada pixel", "Cada pixel sorteado de p(x|z)"],
        style={"button_width": "110px"},
    )


def _image_choosers(data: Dataset, start: int) -> dict[str, widgets.BoundedIntText]:
    """Os caminhos começam na primeira imagem e terminam na primeira de outra classe, se houver."""
    other = 1 if data.y is None else int((data.y != data.y[0]).int().argmax()) or 1
    return {
        name: widgets.BoundedIntText(
            value=value,
            max=len(data) - 1,
            description=description,
            tooltip=f"Número da imagem, de 0 a {len(data) - 1}",
            style={"description_width": "56px"},
            layout=Layout(width="148px"),
        )
        for name, value, description in (
            ("index", start, "imagem"),
            ("from_index", 0, "de"),
            ("to_index", other, "até"),
        )
    }


def _path_controls() -> dict[str, widgets.Widget]:
    return {
        "position": ExactSlider(
            value=0.0,
            min=0.0,
            max=1.0,
            step=0.01,
            description="posição",
            tooltip="0 é a primeira imagem; 1, a segunda. Apagada, se z não estiver no caminho",
            style={"description_width": "70px"},
            layout=Layout(width="230px"),
        ),
        "path": widgets.ToggleButtons(
            options=["reta", "esférica"],
            tooltips=["Em linha reta", "Gira a direção de z e varia a norma aos poucos"],
            style={"button_width": "84px"},
            layout=Layout(margin="2px 2px 2px 72px"),
        ),
    }


def _tensor_of(model: VAE) -> Tensor:
    """Um tensor do modelo, de que se tiram o dispositivo e o tipo."""
    return next(itertools.chain(model.parameters(), model.buffers()))


def _device(model: VAE) -> torch.device:
    return _tensor_of(model).device


def _require_compatible(model: VAE, data: Dataset) -> None:
    if not isinstance(model, VAE):
        raise TypeError(f"explore_latent espera um VAE (vae_lessons.models.VAE), mas veio {type(model).__name__}.")
    if not isinstance(data, Dataset):
        raise TypeError(
            f"explore_latent espera um Dataset, que sabe a forma das imagens, mas veio {type(data).__name__}. "
            'Use, por exemplo, load("digits", "test"), ou data.from_images, se as imagens são suas.'
        )
    greys_of(data)
    z = _tensor_of(model).new_zeros(1, *model.latent_shape)
    with evaluating(model):
        decoded = model.decode(z).mean
    if decoded.shape[-1] != data.x.shape[1]:
        raise ValueError(
            f"O modelo foi feito para imagens de {decoded.shape[-1]} pixels, e as de {data.name!r} "
            f"têm {data.x.shape[1]}. Use o conjunto de dados com que o modelo foi treinado."
        )
    if not decoded.isfinite().all():
        raise ValueError("O decodificador devolveu NaN ou infinito. Treine o modelo de novo antes de explorá-lo.")
