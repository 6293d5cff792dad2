"""weather, do pacote vega-datasets."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np

from vae_lessons.data.recipes.recipe import Recipe


def make(archive: Path) -> tuple[dict[str, np.ndarray], str]:
    """Quinzenas seguidas, sem sobreposição: os cinco últimos dias, que não completam uma, ficam de fora."""
    with zipfile.ZipFile(archive) as wheel:
        table = wheel.read("vega_datasets/_data/seattle-weather.csv").decode("ascii")
        licence = wheel.read("vega_datasets-0.9.0.dist-info/LICENSE").decode("ascii")
    days = list(csv.DictReader(io.StringIO(table)))
    days = days[: len(days) // 14 * 14]
    columns = ("temp_max", "temp_min", "wind", "precipitation")
    values = np.array([[float(day[name]) for name in columns] for day in days])
    dates = np.array([[int(part) for part in day["date"].split("/")[:2]] for day in days[::14]])
    return {"x": values.reshape(-1, 14 * 4).astype(np.float32), "factors": dates.astype(np.uint16)}, licence


RECIPE = Recipe(
    source="vega-datasets==0.9.0",
    archive="vega_datasets-0.9.0-py3-none-any.whl",
    sha256="3d7c63917be6ca9b154b565f4779a31fedce57b01b5b9d99d8a34a7608062a1d",
    make=make,
    origin="""
weather: 104 quinzenas seguidas do tempo em Seattle, de 2012 a 2015; em cada dia, as temperaturas máxima e mínima (°C),
o vento médio (m/s) e a chuva (mm).

As medidas são da NOAA, a agência do governo dos Estados Unidos para a atmosfera e os oceanos, e de domínio público
(https://www.weather.gov/disclaimer). Foram tiradas do pacote vega-datasets 0.9.0, arquivo
vega_datasets/_data/seattle-weather.csv (https://github.com/altair-viz/vega_datasets), sob a licença abaixo; aqui só se
juntaram os dias de catorze em catorze, e se guardaram o ano e o mês do primeiro dia de cada quinzena.
""",
)
