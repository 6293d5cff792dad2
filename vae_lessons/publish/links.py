"""Atalhos para abrir uma lição, viva, em serviços de terceiros."""

from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

GITHUB = "github.com"


class Link(NamedTuple):
    """name: o serviço · url · needs: o que ele pede a quem o usa."""

    name: str
    url: str
    needs: str


class Repository(NamedTuple):
    """Onde as lições moram. url: https://… · hub: o endereço de um JupyterHub com nbgitpuller, se houver."""

    url: str
    branch: str = "main"
    hub: str | None = None

    @property
    def address(self) -> str:
        return self.url.rstrip("/").removesuffix(".git")

    @property
    def name(self) -> str:
        return self.address.rsplit("/", 1)[-1]

    def links(self, lesson: str) -> list[Link]:
        """lesson: o nome do arquivo da lição."""
        parts, found, path = urlsplit(self.address), [], f"notebooks/{lesson}"
        if parts.netloc == GITHUB:
            owner = parts.path.strip("/")
            url = f"https://colab.research.google.com/github/{owner}/blob/{quote(self.branch)}/{path}"
            install = f"%pip install git+{self.address}"
            found.append(Link("Colab", url, f"uma conta do Google e, numa célula nova no começo, {install}"))
            where = f"gh/{owner}"
        else:
            where = f"git/{quote(self.address, safe='')}"
        query = urlencode({"urlpath": f"lab/tree/{path}"})
        url = f"https://mybinder.org/v2/{where}/{quote(self.branch, safe='')}?{query}"
        found.append(Link("Binder", url, "nada além da rede e de alguns minutos de espera"))
        if self.hub:
            query = {"repo": self.address, "branch": self.branch, "urlpath": f"lab/tree/{self.name}/{path}"}
            url = f"{self.hub.rstrip('/')}/hub/user-redirect/git-pull?{urlencode(query)}"
            found.append(Link("JupyterHub", url, f"uma conta em {urlsplit(self.hub).netloc}"))
        return found
