"""BinderSpec: a repository as BinderHub's URLs name it, `gh/org/repo/ref`.

https://binderhub.readthedocs.io/en/latest/developer/repoproviders.html
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

from hublaunch.launch.errors import InvalidRequest

DOI = "https://doi.org/"
_NAME = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.-]+")
_HYDROSHARE_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The location of a spec's content."""

    repo_url: str
    ref: str = ""
    """A branch, a tag or a commit; `""` if the spec has none."""
    ref_url: str = ""
    """The web page of the content at that ref; `""` if unknown."""


def _github(parts: Sequence[str]) -> Source:
    user, repo, ref = _three(parts)
    url = f"https://github.com/{user}/{repo.removesuffix('.git')}"
    return Source(repo_url=url, ref=ref, ref_url=f"{url}/tree/{ref}")


def _gist(parts: Sequence[str]) -> Source:
    user, gist, ref = _three(parts if len(parts) > 2 else [*parts, ""])
    url = f"https://gist.github.com/{user}/{gist}"
    return Source(repo_url=f"{url}.git", ref=ref, ref_url=f"{url}/{ref}".rstrip("/"))


def _gitlab(parts: Sequence[str]) -> Source:
    namespace, ref = _address_and_ref(parts)
    url = f"https://gitlab.com/{namespace.strip('/').removesuffix('.git')}"
    return Source(repo_url=f"{url}.git", ref=ref, ref_url=f"{url}/tree/{ref}")


def _git(parts: Sequence[str]) -> Source:
    url, ref = _address_and_ref(parts)
    return Source(repo_url=url, ref=ref, ref_url=url)


def _ckan(parts: Sequence[str]) -> Source:
    url, *_ = parts
    return Source(repo_url=url, ref_url=url)


def _doi(parts: Sequence[str]) -> Source:
    url = f"{DOI}{'/'.join(parts)}"
    return Source(repo_url=url, ref_url=url)


def _hydroshare(parts: Sequence[str]) -> Source:
    found = _HYDROSHARE_ID.search("/".join(parts))
    if found is None:
        raise ValueError
    url = f"https://www.hydroshare.org/resource/{found[0]}"
    return Source(repo_url=url, ref_url=url)


def _three(parts: Sequence[str]) -> tuple[str, str, str]:
    """Return user, repository, and a ref that may contain slashes. Raises ValueError."""
    user, repo, *ref = parts
    if not ref or not _NAME.fullmatch(user) or not _NAME.fullmatch(repo):
        raise ValueError
    return user, repo, "/".join(ref)


def _address_and_ref(parts: Sequence[str]) -> tuple[str, str]:
    """Return the address, which is a single part, and the ref. Raises ValueError."""
    address, *ref = parts
    if not ref:
        raise ValueError
    return address, "/".join(ref)


PROVIDERS: Mapping[str, tuple[str, Callable[[Sequence[str]], Source]]] = {
    "gh": ("gh/USER/REPOSITORY/REF", _github),
    "gist": ("gist/USER/GIST or gist/USER/GIST/REF", _gist),
    "gl": ("gl/NAMESPACE%2FREPOSITORY/REF", _gitlab),
    "git": ("git/URL/REF with the URL percent-encoded", _git),
    "zenodo": ("zenodo/DOI", _doi),
    "figshare": ("figshare/DOI", _doi),
    "dataverse": ("dataverse/DOI", _doi),
    "hydroshare": ("hydroshare/ID", _hydroshare),
    "ckan": ("ckan/URL with the dataset's URL percent-encoded", _ckan),
}
"""BinderHub's providers by prefix: the form of their specs, and the function that reads them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BinderSpec:
    """The part of a URL after `/build/`."""

    written: str
    """`provider/spec`, percent-encoded as received."""
    parts: tuple[str, ...]
    """The parts between slashes, decoded, so that a part may contain slashes."""

    @classmethod
    def parse(cls, written: str) -> Self:
        """Split any text into parts."""
        written = written.rstrip("/")
        return cls(written=written, parts=tuple(map(unquote, written.split("/"))))

    def source(self) -> Source:
        """Return where the content is. Raises KeyError for an unknown provider, InvalidRequest for an invalid spec."""
        form, source = PROVIDERS[self.parts[0].casefold()]
        try:
            return source(self.parts[1:])
        except ValueError:
            raise InvalidRequest("spec", f"must be {form}") from None
