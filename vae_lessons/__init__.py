"""Pacote de apoio das lições sobre autocodificadores variacionais (VAEs).

Cada arquivo trata de uma ideia, e as dependências só apontam para baixo:
explore → plotting, evaluation → training → objectives → estimators → models → distributions.
À parte: data (e, para os conjuntos que vivem em arquivos, idx_files e download), diagrams, exercises e installation.
"""

__version__ = "0.1.0"
