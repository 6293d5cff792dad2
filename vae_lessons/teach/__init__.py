"""Para quem dá aula: distribuir as lições, corrigir as entregas de uma turma e ver onde ela tropeça.

    python -m vae_lessons.teach distribute --output turma --class-name "VAE, 2026"
    python -m vae_lessons.teach correct entregas --output correção
    python -m vae_lessons.teach report correção

Cada arquivo trata de uma ideia: distribute faz a pasta dos alunos, e nbgrader as marcas que esse programa entende;
submissions acha e lê as entregas; slices diz o que é preciso executar delas; sandbox o executa, separado do resto por
isolation, num processo em que worker mede as respostas, e de que descendants não deixa nada; sandboxes usa vários
deles; values as traz de volta; cases sorteia os outros casos, de um segredo da turma; judging dá o veredito; grades
guarda as notas; correct junta tudo; page e report mostram.
"""
