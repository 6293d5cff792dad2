"""Os desenhos de uma lição só, um arquivo por lição: o que se vê na figura é da lição; como se desenha está aqui.

Cada função recebe os números prontos e devolve uma figura; nenhuma treina, sorteia ou mede. O que duas lições desenham
fica em `plotting`.
"""
