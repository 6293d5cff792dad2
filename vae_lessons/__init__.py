"""Pacote de apoio das lições sobre autocodificadores variacionais (VAEs).

Cada arquivo trata de uma ideia, e as dependências só apontam para baixo:
explore → plotting, evaluation → training → objectives → estimators → models → distributions; data à parte.
"""

__version__ = "0.1.0"
