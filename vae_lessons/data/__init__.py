"""Conjuntos de dados: tensores inteiros na memória, prontos para morar no dispositivo do treino."""

from vae_lessons.data import cells, films, phrases, topics
from vae_lessons.data.binarization import binarize
from vae_lessons.data.catalogue import load
from vae_lessons.data.dataset import Dataset, as_dataset
from vae_lessons.data.own_images import from_images

__all__ = ["Dataset", "as_dataset", "binarize", "cells", "films", "from_images", "load", "phrases", "topics"]
