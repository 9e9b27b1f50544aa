"""The operator's catalogue of environments and sizes, in a YAML or JSON file that may change while the service runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DictSchema

from hublaunch.files.catalogue_fields import (
    SIZES_MAX,
    Description,
    FilePart,
    Groups,
    Image,
    Name,
    OpenedPath,
    Options,
    SizeNames,
    Title,
)
from hublaunch.files.warm import WarmEntry, warm_of
from hublaunch.files.watched import FileFault, WatchedFile
from hublaunch.files.yaml_file import InvalidValue, read_yaml
from hublaunch.launch.rules.catalogue import Catalogue, ContentMode, Environment, Size
from hublaunch.launch.rules.pool import PoolKey, pools_of

SCHEMA_ID = "urn:hublaunch:catalogue"
_ENVIRONMENTS_MAX = 200


class CatalogueFault(FileFault):
    """The file of the catalogue cannot be used."""


class SizeEntry(FilePart):
    """A size of server: a named set of user_options for the spawner."""

    title: Title
    """What people read: a text, or texts by language."""
    user_options: Options = Field({})
    """What the spawner gets, such as {profile: small}. No request can set these keys itself."""
    groups: Groups = ()
    """Hub groups whose members may have this size. Empty: everybody."""
    most: Annotated[int, Field(ge=0, le=1_000_000_000, strict=True)] | None = None
    """The maximum number of active launches of this size, over all callers."""


class EnvironmentEntry(FilePart):
    """An image under a name."""

    title: Title
    """What people read: a text, or texts by language."""
    description: Description | None = None
    """A sentence about it, in the same form as the title."""
    image: Image
    """The image: [registry/]repository[:tag][@digest]."""
    content: ContentMode = "none"
    """How the repository gets into the server: by nbgitpuller in the image, by the spawner, or not at all."""
    open: OpenedPath = ""
    """The path that opens if a launch has none, such as lab."""
    sizes: SizeNames = ()
    """Names of sizes to choose from; the first is the default. Empty: the spawner decides."""
    groups: Groups = ()
    """Hub groups whose members may launch it. Empty: everybody who may launch here."""
    warm: WarmEntry | None = None
    """Servers that are kept ready before anybody asks for them."""


class _Content(FilePart):
    """The catalogue of hublaunch: the environments that callers launch by name, and the sizes of their servers."""

    model_config = ConfigDict(title="Catalogue of hublaunch")

    environments: Annotated[Mapping[Name, EnvironmentEntry], Field(max_length=_ENVIRONMENTS_MAX)] = {}
    """The environments by name, in the order in which people see them."""
    sizes: Annotated[Mapping[Name, SizeEntry], Field(max_length=SIZES_MAX)] = {}
    """The sizes by name."""


class CatalogueFile(WatchedFile[Catalogue]):
    """The catalogue in a file. While the file cannot be used, the previous catalogue applies."""

    def __init__(self, path: Path) -> None:
        """Read the catalogue. Raises CatalogueFault if the file cannot be used."""
        super().__init__(
            path,
            read_catalogue,
            describe=lambda catalogue: f"environments: {len(catalogue.environments)}, sizes: {len(catalogue.sizes)}",
            while_unusable=lambda catalogue: catalogue,
            consequence="Until this is fixed, the previous catalogue applies.",
        )

    def report(self) -> dict[str, Any]:
        """Return the numbers of environments and sizes, and why the file cannot be used, if so."""
        return {
            "environments": len(self.content.environments),
            "sizes": len(self.content.sizes),
            "fault": self.fault,
        }


def read_catalogue(path: Path) -> Catalogue:
    """Return the catalogue in the file. Raises CatalogueFault if it cannot be read or parsed."""
    return read_yaml(path, _catalogue_of, subject=f"The catalogue in {path} is", fault=CatalogueFault)


class _FileSchema(GenerateJsonSchema):
    """Gives fields no titles, which would only repeat their names, and entries no names but those of the pattern."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def dict_schema(self, schema: DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        return made | {"additionalProperties": False} if "patternProperties" in made else made


def catalogue_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file."""
    schema = _Content.model_json_schema(schema_generator=_FileSchema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


def _catalogue_of(given: Any) -> Catalogue:
    """Return the catalogue. Raises ValidationError, or InvalidValue for a name that leads nowhere."""
    content = _Content.model_validate(given)
    sizes = {name: _size_of(name, size) for name, size in content.sizes.items()}
    environments = [_environment_of(name, each, sizes) for name, each in content.environments.items()]
    catalogue = Catalogue(environments=tuple(environments), sizes=tuple(sizes.values()))
    _check_pools(catalogue)
    return catalogue


def _check_pools(catalogue: Catalogue) -> None:
    """Raise InvalidValue if two environments keep the same servers ready: one could take the other's."""
    first: dict[PoolKey, str] = {}
    for pool in pools_of(catalogue):
        other = first.setdefault(pool.key, pool.environment)
        if other != pool.environment:
            raise InvalidValue(
                ("environments", pool.environment, "warm"),
                f"must not keep servers of the same image and size as {other}: the warm servers of either serve both",
            )


def _size_of(name: str, size: SizeEntry) -> Size:
    return Size(
        name=name,
        title=size.title,
        user_options=size.user_options,
        groups=frozenset(size.groups),
        most=size.most,
    )


def _environment_of(name: str, given: EnvironmentEntry, sizes: Mapping[str, Size]) -> Environment:
    place = ("environments", name, "sizes")
    if len(set(given.sizes)) < len(given.sizes):
        raise InvalidValue(place, "must not list a size twice")
    for number, size in enumerate(given.sizes):
        if size not in sizes:
            raise InvalidValue((*place, number), "must be one of the sizes in this file")
    of_environment = tuple(sizes[size] for size in given.sizes)
    return Environment(
        name=name,
        title=given.title,
        image=given.image,
        description=given.description or {},
        content=given.content,
        open=given.open,
        sizes=of_environment,
        groups=frozenset(given.groups),
        warm=warm_of(name, given.warm, content=given.content, sizes=of_environment) if given.warm else None,
    )
