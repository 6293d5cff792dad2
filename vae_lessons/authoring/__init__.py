"""Ferramentas de quem escreve lições, ou as usa em aula.

exercises   achar os exercícios de uma lição, com as soluções, e pôr as soluções no lugar dos brancos
running     executar uma lição de cima a baixo
offline     kernels sem rede, como na sala de aula
store       guardar uma lição com as saídas:     python -m vae_lessons.authoring.store notebooks/03_vae.ipynb
lab         fotografar uma lição no JupyterLab:  python -m vae_lessons.authoring.lab notebooks/03_vae.ipynb PASTA
"""
