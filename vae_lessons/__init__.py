"""Pacote de apoio das lições sobre autocodificadores variacionais (VAEs).

Cada arquivo trata de uma ideia, e só importa os que estão abaixo dele nesta lista:

    publish, teach                      os programas que fazem das lições um site e as levam a uma turma
    authoring, benchmark, reproduce     programas
    explore                             os exploradores
    exercises                           a correção dos exercícios
    museum                              defeitos que existiram, com a cura e a medida que os acusa
    installation                        o que há nesta máquina
    training                            o núcleo de treino
    drawings                            os desenhos de uma lição só
    subjects                            que assunto está em que lição
    plotting, diagrams, glossary        figuras e glossário
    courses                             que lições cabem num curso
    evaluation, disentanglement, ranking    medidas
    objectives                          a ELBO e seus parentes
    estimators                          estimadores do gradiente
    suitability                         estes dados servem a este modelo?
    phrase_vae                          o VAE de frases
    models                              codificadores, decodificadores e o VAE
    priors                              a prior que se dá a um modelo
    linear_gaussian                     formas fechadas do modelo linear-gaussiano
    distributions                       distribuições
    data                                conjuntos de dados
    style, series, tables               cores, números e textos das figuras; quais são as lições; tabelas
    devices, randomness                 onde as contas são feitas, e as sementes
    counts, files, processors, console  números inteiros, arquivos do usuário, núcleos da CPU, a tela
"""

from vae_lessons import console, processors

__version__ = "0.1.0"

processors.sleep_while_waiting()  # antes que alguém carregue o torch
console.survive_any_encoding()
