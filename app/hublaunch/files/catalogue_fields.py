"""The types of the catalogue's values: checked when the file is read, and described in its JSON Schema."""

import json
import re
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.rules.catalogue import NAME_MAX, Texts
from hublaunch.launch.rules.image import IMAGE_MAX, ImageReference
from hublaunch.launch.rules.path import PATH_MAX, check_path
from hublaunch.launch.rules.request import EXTRA_ARGS_MAX_BYTES, RESERVED_EXTRA_ARGS
from hublaunch.launch.rules.strict_json import json_fault

SIZES_MAX = 50
_GROUPS_MAX = 100
_NAME = rf"^[a-z0-9][a-z0-9._-]{{0,{NAME_MAX - 1}}}$"
_LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"


class FilePart(BaseModel):
    """A part of the file, with these fields and no others."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


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
        raise ValueError("must not have a language twice")
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


Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": _NAME})]
"""The name of an environment or a size."""
SizeNames = Annotated[tuple[Name, ...], Field(max_length=SIZES_MAX)]
Groups = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=255)], ...], Field(max_length=_GROUPS_MAX)]
Title = Annotated[Texts, *_texts_up_to(100)]
Description = Annotated[Texts, *_texts_up_to(1000)]
Image = Annotated[str, Field(max_length=IMAGE_MAX), AfterValidator(_image)]
OpenedPath = Annotated[str, Field(max_length=PATH_MAX), AfterValidator(_path)]
Options = Annotated[dict[str, Any], AfterValidator(_options)]
