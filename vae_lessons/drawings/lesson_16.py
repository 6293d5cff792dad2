"""Os desenhos da lição 16: o sintoma de cada espécime que se vê melhor do que se lê."""

from collections.abc import Mapping, Sequence

import matplotlib
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vae_lessons import style
from vae_lessons.style import BLACK, BLUE, GREY, MIST, ORANGE, SILVER, number


def spreads(draws: Mapping[str, Tensor], log_density: Tensor, grid: Tensor) -> Figure:
    """draws: nome → sorteios [N] · log_density, grid: a densidade que deviam ter, [M]. Um painel para cada nome."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 2.6))
        for ax, (name, values) in zip(fig.subplots(1, len(draws), sharey=True), draws.items(), strict=True):
            edges = torch.linspace(grid.min(), grid.max(), 61)
            counts, _ = torch.histogram(values, edges, density=True)
            ax.stairs(counts, edges, fill=True, color=MIST, edgecolor=BLUE)
            ax.plot(grid, log_density.exp(), color=BLACK, label="o que se pediu")
            ax.set(title=name, xlabel="z", ylim=(0, 1.9))
            if counts.max() > 1.9:
                ax.text(0.15, 1.7, f"↑ sobe até {number(counts.max().item(), 0)}")
        fig.axes[0].set_ylabel("densidade")
        fig.axes[-1].legend(loc="upper right")
        style.decimal_commas(fig)
    return fig


def bounds_by_k(ks: Sequence[int], means: Mapping[str, Sequence[float]], evidence: float) -> Figure:
    """means: nome → média do "limite" em cada K, em nats · evidence: log p(x), a reta de que um limite não passa."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 2.9))
        ax = fig.subplots()
        for (name, values), color, line in zip(means.items(), (ORANGE, BLUE), ("--", "-"), strict=True):
            ax.plot(ks, values, line, marker="o", color=color, label=name)
        ax.axhline(evidence, color=BLACK, linewidth=1)
        ax.text(ks[-1], evidence, "log p(x)", ha="right", va="bottom")
        ax.set(xscale="log", xticks=ks, xlabel="amostras K", ylabel="nats")
        ax.set_xticklabels([str(k) for k in ks])
        ax.minorticks_off()
        ax.legend()
        style.decimal_commas(fig)
    return fig


def rows_of(tables: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """tables: título → [Z, N], uma curva por linha; names: os das Z linhas. Um painel por título."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 3.0))
        for ax, (title, table) in zip(fig.subplots(1, len(tables), sharey=True), tables.items(), strict=True):
            for k, (name, row) in enumerate(zip(names, table, strict=True)):
                ax.plot(row - 3.0 * k, color=style.class_look(k)[0], label=name)
            ax.set(title=title, xlabel="exemplo", yticks=[-3.0 * k for k in range(len(names))])
            ax.set_yticklabels(names)
    return fig


def betas(values: Mapping[str, Sequence[float]], steps_per_epoch: int) -> Figure:
    """values: nome → β de cada passo; faixas alternadas marcam as épocas."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 2.6))
        ax = fig.subplots()
        steps = len(next(iter(values.values())))
        for start in range(0, steps, 2 * steps_per_epoch):
            ax.axvspan(start, start + steps_per_epoch, color=MIST, zorder=0)
        for (name, row), color, line in zip(values.items(), (ORANGE, BLUE), ("--", "-"), strict=True):
            ax.plot(row, line, color=color, label=name)
        ax.set(xlabel="passo (cada faixa é uma época)", ylabel="β", xlim=(0, steps), ylim=(-0.05, 1.1))
        ax.legend(loc="center right")
        style.decimal_commas(fig)
    return fig


def warped(grids: Mapping[str, Tensor], determinants: Mapping[str, Tensor]) -> Figure:
    """grids: título → [R, C, 2], a grade depois do mapa · determinants: título → [R, C]; onde é negativo, laranja."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 3.8))
        for ax, (title, grid) in zip(fig.subplots(1, len(grids)), grids.items(), strict=True):
            folded = determinants[title] < 0
            for lines, marks in ((grid, folded), (grid.transpose(0, 1), folded.T)):
                for line, mark in zip(lines, marks, strict=True):
                    ax.plot(*line.T, color=SILVER, linewidth=0.7, zorder=1)
                    ax.plot(*torch.where(mark[:, None], line, torch.nan).T, color=ORANGE, linewidth=1.4, zorder=2)
            ax.set(title=title, xticks=[], yticks=[], aspect="equal")
    return fig


def errors_by_specimen(table: pd.DataFrame, tolerances: Sequence[float]) -> Figure:
    """table: as colunas "doente" e "curada" de `museum.table()` · tolerances: a de cada linha. Escala logarítmica."""
    floor, ceiling = 1e-17, 1e4
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 6.4))
        ax = fig.subplots()
        places = range(len(table))
        sick, cured = (table[name].clip(floor, ceiling) for name in ("doente", "curada"))
        ax.hlines(places, cured, sick, color=SILVER, linewidth=1)
        ax.plot(sick, places, "X", color=ORANGE, markersize=8, label="com o defeito")
        ax.plot(cured, places, "o", color=BLUE, markersize=6, label="curada")
        ax.plot(tolerances, places, "|", color=BLACK, markersize=12, markeredgewidth=2, label="tolerância")
        ax.set(xscale="log", xlabel="o que a medida dá", yticks=places, ylim=(len(table) - 0.5, -0.5))
        ax.set_yticklabels(table.index)
        ax.grid(axis="y", color=MIST)
        ax.legend(loc="lower center", ncols=3, bbox_to_anchor=(0.4, 1.0))
    return fig


def two_losses(rows: Mapping[str, Mapping[str, float]]) -> Figure:
    """rows: nome do treino → {"KL": nats, "reconstrução": nats}. Duas barras por treino, na mesma escala."""
    with matplotlib.rc_context(style.RC):
        fig = Figure(figsize=(8.2, 2.2))
        for ax, quantity in zip(fig.subplots(1, 2, sharey=True), ("KL", "reconstrução"), strict=True):
            values = [row[quantity] for row in rows.values()]
            widest = max(max(row.values()) for row in rows.values())
            bars = ax.barh(list(rows), values, color=[ORANGE, BLUE], height=0.6)
            ax.bar_label(bars, [number(value, 1) for value in values], padding=4)
            ax.set(title=f"{quantity}, em nats por imagem", xlim=(0, 1.2 * widest))
            ax.tick_params(axis="y", colors=GREY)
        fig.axes[0].invert_yaxis()
        style.decimal_commas(fig)
    return fig
