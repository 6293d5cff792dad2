"""O museu: defeitos que existiram em código público de VAEs, guardados com a cura e a medida que os acusa.

A lição 16 os mostra; `tests/test_museum.py` põe cada um no pacote ou numa lição e exige que um teste falhe.
"""

import pandas as pd

from vae_lessons.museum import bounds, codes, measuring, sampling, terms
from vae_lessons.museum.specimen import Specimen

SPECIMENS = (
    *terms.SPECIMENS,
    *sampling.SPECIMENS,
    *bounds.SPECIMENS,
    *measuring.SPECIMENS,
    *codes.SPECIMENS,
)

__all__ = ["SPECIMENS", "Specimen", "specimen", "table"]


def specimen(name: str) -> Specimen:
    """O espécime desse nome. Levanta ValueError se não houver."""
    found = next((each for each in SPECIMENS if each.name == name), None)
    if found is None:
        names = "; ".join(each.name for each in SPECIMENS)
        raise ValueError(f"Não há no museu um espécime chamado {name!r}. Os que há: {names}.")
    return found


def table() -> pd.DataFrame:
    """Defeito × medida: o que a medida de cada um dá na função doente e na curada, e qual teste o acharia."""
    rows = [
        {
            "defeito": each.name,
            "a medida": each.check,
            "doente": each.error(each.broken),
            "curada": each.error(each.cured),
            "quem o acha": each.caught_by,
        }
        for each in SPECIMENS
    ]
    return pd.DataFrame(rows).set_index("defeito")
