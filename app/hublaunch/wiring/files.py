"""The files that operators change while the service runs."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from hublaunch.files.catalogue import CatalogueFile
from hublaunch.files.keys import ApiKeys
from hublaunch.files.limits import LimitsFile
from hublaunch.launch.rules.catalogue import Catalogue
from hublaunch.settings import Settings
from hublaunch.wiring.tasks import Background

_NO_CATALOGUE = Catalogue()


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """The operator's files; None for a file that the settings do not name."""

    api_keys: ApiKeys | None = None
    """Also None if API keys may not launch."""
    limits: LimitsFile | None = None
    catalogue_file: CatalogueFile | None = None

    def catalogue(self) -> Catalogue:
        """Return the current catalogue; an empty one without a file."""
        return self.catalogue_file.content if self.catalogue_file is not None else _NO_CATALOGUE


def read_files(settings: Settings) -> Files:
    """Read the files that the settings name. Raises FileFault if one cannot be used."""
    return Files(
        api_keys=ApiKeys(settings.api_keys_file) if settings.api_keys_file and "key" in settings.access else None,
        limits=LimitsFile(settings.limits_file) if settings.limits_file is not None else None,
        catalogue_file=CatalogueFile(settings.catalogue_file) if settings.catalogue_file is not None else None,
    )


@asynccontextmanager
async def watching(files: Files, background: Background, *, every_s: float) -> AsyncGenerator[None]:
    """Read the files again when they change, until the context is left. API keys are checked with each request."""
    async with AsyncExitStack() as stack:
        for name, file in (("limits", files.limits), ("catalogue", files.catalogue_file)):
            if file is not None:
                await stack.enter_async_context(background.running(name, partial(file.run, every_s=every_s)))
        yield
