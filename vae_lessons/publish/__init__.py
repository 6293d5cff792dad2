"""As lições como um site que não precisa de nada: nem de Python, nem de rede, nem de servidor.

    python -m vae_lessons.publish --output site

Cada arquivo trata de uma ideia: lessons executa as lições e as prepara; formulas escreve as fórmulas; recording grava
os exploradores, no kernel de cada lição; search faz o índice da busca; site monta as páginas e as põe no lugar.
O que se instala a mais: pip install -e ".[page]".
"""
