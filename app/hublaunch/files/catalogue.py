"""The operator's catalogue of environments and sizes, in a YAML or JSON file that may change while the service runs."""

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DictSchema

from hublaunch.files.watched import FileFault, WatchedFile
from hublaunch.files.yaml_file import InvalidValue, read_yaml
from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.rules.catalogue import NAME_MAX, Catalogue, ContentMode, Environment, Size, Texts
from hublaunch.launch.rules.image import IMAGE_MAX, ImageReference
from hublaunch.launch.rules.path import PATH_MAX, check_path
from hublaunch.launch.rules.pool import pools_of
from hublaunch.launch.rules.request import EXTRA_ARGS_MAX_BYTES, RESERVED_EXTRA_ARGS
from hublaunch.launch.rules.strict_json import json_fault
from hublaunch.launch.rules.warm import CRON_MAX, Warm, Window, check_cron, check_timezone

SCHEMA_ID = "urn:hublaunch:catalogue"
_ENVIRONMENTS_MAX, _SIZES_MAX, _GROUPS_MAX, _WINDOWS_MAX = 200, 50, 100, 20
_KEEP_MAX = 10_000
_MINUTE_S, _WEEK_S = 60, 604_800
_NAME = rf"^[a-z0-9][a-z0-9._-]{{0,{NAME_MAX - 1}}}$"
_LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"


class CatalogueFault(FileFault):
    """The file of the catalogue cannot be used."""


def _name(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        raise ValueError(f"must be a name of at most {NAME_MAX} characters a-z, 0-9, `.`, `_` and `-`")
    return name


def _texts(value: object, *, longest: int) -> Texts:
    """Return the texts by language, from one text or several."""
    texts = {"": value} if isinstance(value, str) else value
    if not isinstance(texts, dict) or not texts:
        raise ValueError("must be a text, or texts by language such as {en: Small, de: Klein}")
    if not all(isinstance(tag, str) and (tag == "" or re.fullmatch(_LANGUAGE, tag)) for tag in texts):
        raise ValueError("must have language tags such as en and pt-BR")
    if len({tag.lower() for tag in texts}) < len(texts):
        raise ValueError("must have each language once")
    lines = {tag: " ".join(text.split()) if isinstance(text, str) else "" for tag, text in texts.items()}
    if not all(0 < len(line) <= longest and line.isprintable() for line in lines.values()):
        raise ValueError(f"must have 1 to {longest} printable characters in each text")
    return lines


def _texts_up_to(longest: int) -> tuple[PlainValidator, WithJsonSchema]:
    text = {"type": "string", "minLength": 1, "maxLength": longest}
    tags = {"pattern": _LANGUAGE}
    by_language = {"type": "object", "propertyNames": tags, "additionalProperties": text, "minProperties": 1}
    return PlainValidator(partial(_texts, longest=longest)), WithJsonSchema({"anyOf": [text, by_language]})


def _image(image: str) -> str:
    ImageReference.parse(image)
    return image


def _path(path: str) -> str:
    path = path.lstrip("/")
    try:
        check_path(path)
    except InvalidRequest as error:
        raise ValueError(error.reason) from None
    return path


def _options(options: dict[str, Any]) -> dict[str, Any]:
    if taken := RESERVED_EXTRA_ARGS.intersection(options):
        raise ValueError(f"must not set {', '.join(sorted(taken))}, which hublaunch sets itself")
    if fault := json_fault(options, values_max=EXTRA_ARGS_MAX_BYTES):
        raise ValueError(fault)
    if len(json.dumps(options)) > EXTRA_ARGS_MAX_BYTES:
        raise ValueError(f"must have at most {EXTRA_ARGS_MAX_BYTES} bytes as JSON")
    return options


def _cron(cron: str) -> str:
    check_cron(cron)
    return cron


def _timezone(timezone: str) -> str:
    check_timezone(timezone)
    return timezone


_Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": _NAME})]
_Group = Annotated[str, Field(min_length=1, max_length=255)]
_Groups = Annotated[tuple[_Group, ...], Field(max_length=_GROUPS_MAX)]
_Title = Annotated[Texts, *_texts_up_to(100)]
_Description = Annotated[Texts, *_texts_up_to(1000)]
_Count = Annotated[int, Field(ge=0, le=_KEEP_MAX, strict=True)]
_Duration = Annotated[int, Field(ge=_MINUTE_S, le=_WEEK_S, strict=True)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class SizeEntry(_Entry):
    """A size of server: a named set of user_options for the spawner."""

    title: _Title
    """What people read: a text, or texts by language."""
    user_options: Annotated[dict[str, Any], AfterValidator(_options)] = {}
    """What the spawner gets, such as {profile: small}. No request can set these keys itself."""
    groups: _Groups = ()
    """Hub groups whose members may have this size. Empty: everybody."""
    most: Annotated[int, Field(ge=0, le=1_000_000_000, strict=True)] | None = None
    """The most active launches of this size, of all callers together."""


class WindowEntry(_Entry):
    """A time in which more servers are kept ready, such as before each session of a course."""

    cron: Annotated[str, Field(max_length=CRON_MAX), AfterValidator(_cron)]
    """When it opens: a cron expression of five fields, such as 45 8 * * mon. By then the servers are ready."""
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    """The time zone of the expression, such as Europe/Oslo."""
    for_s: _Duration
    """How many seconds it is open."""
    keep: _Count
    """How many servers are kept ready meanwhile, in each size."""


class WarmEntry(_Entry):
    """Servers that are kept ready before anybody asks for them."""

    keep: _Count
    """How many are kept ready, in each size. 0 keeps servers only in windows; without windows, none."""
    most: _Count | None = None
    """How many are kept ready at most when many launches arrive. Without it, demand raises nothing."""
    max_age_s: _Duration = 3600
    """Seconds after its start at which a server that nobody took is replaced."""
    sizes: Annotated[tuple[_Name, ...], Field(max_length=_SIZES_MAX)] = ()
    """The sizes that are kept ready. Empty: the first size without groups."""
    windows: Annotated[tuple[WindowEntry, ...], Field(max_length=_WINDOWS_MAX)] = ()
    """Times in which more servers are kept ready."""


class EnvironmentEntry(_Entry):
    """An image under a name."""

    title: _Title
    """What people read: a text, or texts by language."""
    description: _Description | None = None
    """A sentence about it, in the same form as the title."""
    image: Annotated[str, Field(max_length=IMAGE_MAX), AfterValidator(_image)]
    """The image: [registry/]repository[:tag][@digest]."""
    content: ContentMode = "none"
    """How the repository gets into the server: by nbgitpuller in the image, by the spawner, or not at all."""
    open: Annotated[str, Field(max_length=PATH_MAX), AfterValidator(_path)] = ""
    """The path that opens if a launch has none, such as lab."""
    sizes: Annotated[tuple[_Name, ...], Field(max_length=_SIZES_MAX)] = ()
    """Names of sizes to choose from; the first is the default. Empty: the spawner decides."""
    groups: _Groups = ()
    """Hub groups whose members may launch it. Empty: everybody who may launch here."""
    warm: WarmEntry | None = None
    """Servers that are kept ready before anybody asks for them."""


class _Content(_Entry):
    """The catalogue of hublaunch: the environments that callers launch by name, and the sizes of their servers."""

    model_config = ConfigDict(title="Catalogue of hublaunch")

    environments: Annotated[Mapping[_Name, EnvironmentEntry], Field(max_length=_ENVIRONMENTS_MAX)] = {}
    """The environments by name, in the order in which people see them."""
    sizes: Annotated[Mapping[_Name, SizeEntry], Field(max_length=_SIZES_MAX)] = {}
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
    """Gives fields no titles, which would only repeat their names, and allows no other names of entries."""

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
    first = {}
    for pool in pools_of(catalogue):
        other = first.setdefault(pool.key, pool.environment)
        if other != pool.environment:
            raise InvalidValue(
                ("environments", pool.environment, "warm"),
                f"must not keep the servers of {other}, which has the same image and size. Its warm servers serve both",
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
        raise InvalidValue(place, "must have each size once")
    for number, size in enumerate(given.sizes):
        if size not in sizes:
            raise InvalidValue((*place, number), "must be one of the sizes in this file")
    return Environment(
        name=name,
        title=given.title,
        image=given.image,
        description=given.description or {},
        content=given.content,
        open=given.open,
        sizes=tuple(sizes[size] for size in given.sizes),
        groups=frozenset(given.groups),
        warm=_warm_of(name, given, sizes),
    )


def _warm_of(name: str, given: EnvironmentEntry, sizes: Mapping[str, Size]) -> Warm | None:
    if given.warm is None:
        return None
    place, warm = ("environments", name, "warm"), given.warm
    if given.content == "spawner":
        raise InvalidValue(
            place, "must not be set with content: spawner, which fetches the repository before a server starts"
        )
    if warm.most is not None and warm.most < warm.keep:
        raise InvalidValue((*place, "most"), "must not be below keep")
    for number, size in enumerate(warm.sizes):
        if size not in given.sizes or warm.sizes.index(size) < number:
            raise InvalidValue((*place, "sizes", number), "must be one of the environment's sizes, and there once")
        if sizes[size].groups:
            raise InvalidValue((*place, "sizes", number), "must be a size without groups: nobody has the server yet")
    for_all = [size for size in given.sizes if not sizes[size].groups]
    if given.sizes and not for_all:
        raise InvalidValue(place, "needs a size without groups in this environment: nobody has the server yet")
    return Warm(
        keep=warm.keep,
        most=warm.keep if warm.most is None else warm.most,
        max_age_s=warm.max_age_s,
        sizes=warm.sizes or tuple(for_all[:1]),
        windows=tuple(
            Window(cron=each.cron, timezone=each.timezone, for_s=each.for_s, keep=each.keep) for each in warm.windows
        ),
    )
