"""The form in which requests are written, in files and over the API: decoded strictly, within bounds.

`schemas/request.json` says the same to everybody else; `schema()` makes it from the types here. Memory and
disk are whole MiB or a text with its unit (`"8GiB"`); a walltime is whole seconds, `"12h"` or `"unlimited"`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from sys import intern
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from wnodes_engine.check.checked import UNLIMITED, SiteAttribute
from wnodes_engine.language.vocabulary import Type
from wnodes_engine.payload import NOTHING, MachineForm, Payload, Script
from wnodes_engine.site import Flavour, Site
from wnodes_engine.validation import schema_of
from wnodes_engine.values import Image, Kind, Origin, Request

LARGEST_BATCH: Final = 1000
"""The most requests in one document."""

_MOST_SECONDS: Final = 100 * 365 * 86400
_MOST_MIB: Final = 1 << 40
_SIZES: Final = {"MiB": 1, "GiB": 1 << 10, "TiB": 1 << 20}
_DURATIONS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

# Control and direction-changing characters forge lines in listings and logs; a leading `-` forges an option.
_PLAIN: Final = r"^(?!-)(?![\s\S]*[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069])"

Text = Annotated[str, Meta(min_length=1, max_length=256, pattern=_PLAIN)]
Word = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}(?![\s\S])")]
Size = (
    Annotated[int, Meta(ge=0, le=_MOST_MIB)]
    | Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,12})(MiB|GiB|TiB)(?![\s\S])")]
)
Walltime = (
    Annotated[int, Meta(ge=1, le=_MOST_SECONDS)]
    | Annotated[str, Meta(pattern=r"^([1-9][0-9]{0,9}[smhdw]|unlimited)(?![\s\S])")]
)
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Several = Annotated[int, Meta(ge=1, le=1_000_000)]
Texts = Annotated[tuple[Text, ...], Meta(max_length=64)]
Value = Text | Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)] | bool

_NONE: Final[frozenset[str]] = frozenset()
_SIZE_HELP: Final = 'whole MiB, such as 2048, or a text with its unit, such as "2GiB" (MiB, GiB, TiB)'
TEXT_HELP: Final = "a text of 1 to 256 characters, without control characters, not beginning with '-'"
_OWN_HELP: Final = f"{TEXT_HELP}; the daemon takes who calls, if it is left out"
_TEXTS_HELP: Final = f"a list of at most 64 texts, each {TEXT_HELP}"
_BODY_HELP: Final = f"send one request as a JSON object, or a list of 1 to {LARGEST_BATCH}"


class WireError(Exception):
    """A request that cannot be read: where (`$.cores`, `$[3].image`), what is wrong, and how to mend it."""

    def __init__(self, path: str, message: str, help: str | None = None) -> None:  # noqa: A002
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message
        self.help = help

    def within(self, prefix: str) -> WireError:
        """The same error of a part of a larger document: `$[3]` for the fourth of a list."""
        return WireError(prefix + self.path.removeprefix("$"), self.message, self.help)


class ImageForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A machine image with what Glance and the site would say of it."""

    name: Annotated[Text, Meta(description=TEXT_HELP)]
    id: Annotated[Text | None, Meta(description=TEXT_HELP)] = None
    approved: Annotated[bool, Meta(description="true or false")] = False
    status: Annotated[Text, Meta(description=TEXT_HELP)] = "active"
    visibility: Annotated[Text, Meta(description=TEXT_HELP)] = "private"
    os: Annotated[Text | None, Meta(description=TEXT_HELP)] = None
    size: Annotated[Size, Meta(description=_SIZE_HELP)] = 0
    min_disk: Annotated[Size, Meta(description=_SIZE_HELP)] = 0
    min_memory: Annotated[Size, Meta(description=_SIZE_HELP)] = 0
    tags: Annotated[Texts, Meta(description=_TEXTS_HELP)] = ()


class RequestForm(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """What somebody asks for. Sizes are those of one part: one task of a job, one machine of a pool."""

    kind: Annotated[Kind, Meta(description="one of job, vmjob (a job inside a VM), vm, pool")]
    origin: Annotated[Origin, Meta(description="one of local, grid, cloud")]
    user: Annotated[Text, Meta(description=_OWN_HELP)] = ""
    group: Annotated[Text, Meta(description=_OWN_HELP)] = ""
    project: Annotated[Text | None, Meta(description=TEXT_HELP)] = None
    roles: Annotated[Texts, Meta(description=_TEXTS_HELP)] = ()
    cores: Annotated[Several | None, Meta(description="a whole number from 1 to 1000000")] = None
    memory: Annotated[Size | None, Meta(description=_SIZE_HELP)] = None
    gpus: Annotated[Count | None, Meta(description="a whole number from 0 to 1000000")] = None
    disk: Annotated[Size | None, Meta(description=_SIZE_HELP)] = None
    volumes: Annotated[Count | None, Meta(description="a whole number from 0 to 1000000")] = None
    count: Annotated[Several | None, Meta(description="how many parts: a whole number from 1 to 1000000")] = (
        None
    )
    at_least: Annotated[
        Several | None,
        Meta(
            description="with how few parts it would begin: a whole number from 1 to count; all if left out"
        ),
    ] = None
    walltime: Annotated[
        Walltime | None,
        Meta(description='whole seconds, such as 3600, a text such as "12h" (s, m, h, d, w), or "unlimited"'),
    ] = None
    queue: Annotated[Text | None, Meta(description=TEXT_HELP)] = None
    account: Annotated[Text | None, Meta(description=TEXT_HELP)] = None
    flavour: Annotated[Text | None, Meta(description=TEXT_HELP)] = None
    image: Annotated[
        Text | ImageForm | None,
        Meta(description="the name or id of an image, or an object that describes one"),
    ] = None
    name: Annotated[Text | None, Meta(description=TEXT_HELP)] = None
    tags: Annotated[Texts, Meta(description=_TEXTS_HELP)] = ()
    attributes: Annotated[
        dict[Word, Value],
        Meta(max_length=64, description="the site's own attributes: texts, whole numbers, true or false"),
    ] = {}
    script: Annotated[
        Script, Meta(description="what a job runs, by its #!; no decision depends on it, and it is not shown")
    ] = ""
    machine: Annotated[
        MachineForm | None, Meta(description="how each machine is equipped; it is not shown")
    ] = None


RequestForms = Annotated[list[RequestForm], Meta(min_length=1, max_length=LARGEST_BATCH)]


@dataclass(frozen=True, slots=True)
class Known:
    """What a site has, against which the names in a request are resolved; images by name and by id."""

    images: Mapping[str, Image] = field(default_factory=dict)
    flavours: Mapping[str, Flavour] = field(default_factory=dict)
    attributes: Mapping[str, SiteAttribute] = field(default_factory=dict)

    @classmethod
    def of(cls, site: Site) -> Known:
        """What the site says it has."""
        images = (site.images or {}).values()
        return cls(
            images={image.id: image for image in images} | {image.name: image for image in images},
            flavours=site.flavours or {},
            attributes={attribute.name: attribute for attribute in site.attributes},
        )


# ------------------------------------------------------------------- reading

_decoder: Final[msgspec.json.Decoder[RequestForm | list[RequestForm]]] = msgspec.json.Decoder(
    RequestForm | RequestForms
)


def decode(data: bytes) -> RequestForm | list[RequestForm]:
    """One request, or a list of 1 to `LARGEST_BATCH`, from JSON. Raises WireError."""
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _explained(error, lambda: msgspec.json.decode(data)) from None
    except msgspec.DecodeError as error:
        wrong = _lower(str(error).removeprefix("JSON is malformed: "))
        raise WireError("$", f"this is not JSON: {wrong}", _BODY_HELP) from None
    except UnicodeDecodeError:
        raise WireError("$", "this is not UTF-8, as JSON has to be", _BODY_HELP) from None
    except RecursionError:
        raise WireError(
            "$", "this is nested too deep", "a request is flat: take out what it does not need"
        ) from None


def convert(value: object) -> RequestForm:
    """One request from plain values, as a YAML or JSON reader returns them. Raises WireError."""
    try:
        return msgspec.convert(value, RequestForm)
    except msgspec.ValidationError as error:
        raise _explained(error, lambda: value) from None


def to_request(form: RequestForm, id: str, submitted: int, known: Known) -> Request:  # noqa: A002
    """The request as the engine knows it; `submitted` in seconds since the epoch. Raises WireError."""
    if not form.user or not form.group:  # the daemon fills in who calls; nobody does so here
        name = "group" if form.user else "user"
        raise WireError(f"$.{name}", f"{name!r} is missing", f"add it: {TEXT_HELP}")
    if form.at_least is not None and form.count is not None and form.at_least > form.count:
        message = f"it asks for {form.count} parts, and cannot begin with {form.at_least}"
        raise WireError("$.at_least", message, "write a number from 1 to count, or leave it out: then all")
    cores, gpus, volumes = form.cores, form.gpus, form.volumes
    if volumes is None and form.machine is not None:
        volumes = form.machine.volume_count or None
    memory, disk, walltime = form.memory, form.disk, form.walltime
    if isinstance(memory, str):
        memory = _mib(memory, "$.memory")
    if isinstance(disk, str):
        disk = _mib(disk, "$.disk")
    if isinstance(walltime, str):
        walltime = seconds(walltime, "$.walltime")
    if form.flavour is not None and (flavour := _flavour(form.flavour, known)) is not None:
        cores = flavour.cores if cores is None else cores
        memory = flavour.memory if memory is None else memory
        gpus = flavour.gpus if gpus is None else gpus
        disk = flavour.disk if disk is None else disk
    return Request(  # in the order of its fields: by name it takes three times as long
        id,
        form.kind,
        form.origin,
        intern(form.user),  # of a million requests most have a few names
        intern(form.group),
        submitted,
        intern(form.project) if form.project is not None else None,
        frozenset(form.roles) if form.roles else _NONE,
        cores,
        memory,
        gpus,
        disk,
        volumes,
        form.count,
        form.at_least,
        walltime,
        form.queue,
        form.account,
        form.flavour,
        _image(form.image, known) if form.image is not None else None,
        form.name,
        frozenset(form.tags) if form.tags else _NONE,
        _attributes(form.attributes, known) if form.attributes else {},
    )


def payload_of(form: RequestForm) -> Payload:
    """What the request runs. Raises WireError for what is not of its kind."""
    if form.script and form.kind not in {"job", "vmjob"}:
        message = f"a {form.kind} runs no script"
        raise WireError("$.script", message, "hand it to the machine: machine.user_data")
    if form.machine is None:
        return Payload(form.script) if form.script else NOTHING
    if form.kind == "job":
        raise WireError("$.machine", "a job has no machine", 'leave it out, or ask for a "vm"')
    if form.volumes is not None and form.volumes < (count := form.machine.volume_count):
        message = f"it asks for {count} volumes, and says {form.volumes}"
        raise WireError("$.volumes", message, "leave it out: then they are counted")
    return Payload(form.script, form.machine)


def from_request(request: Request) -> RequestForm:
    """The form that a request is shown in: every size in MiB, the walltime in seconds or `unlimited`."""
    image = request.image
    return RequestForm(
        kind=request.kind,
        origin=request.origin,
        user=request.user,
        group=request.group,
        project=request.project,
        roles=tuple(sorted(request.roles)),
        cores=request.cores,
        memory=request.memory,
        gpus=request.gpus,
        disk=request.disk,
        volumes=request.volumes,
        count=request.count,
        at_least=request.at_least,
        walltime="unlimited" if request.walltime == UNLIMITED else request.walltime,
        queue=request.queue,
        account=request.account,
        flavour=request.flavour,
        image=None if image is None else image_form(image),
        name=request.name,
        tags=tuple(sorted(request.tags)),
        attributes=request.attributes,
    )


def image_form(image: Image) -> ImageForm:
    """The form that an image is shown in."""
    return ImageForm(
        name=image.name,
        id=image.id,
        approved=image.approved,
        status=image.status,
        visibility=image.visibility,
        os=image.os or None,
        size=image.size,
        min_disk=image.min_disk,
        min_memory=image.min_memory,
        tags=tuple(sorted(image.tags)),
    )


def to_image(form: ImageForm) -> Image:
    """The image as the engine knows it. Raises WireError."""
    return Image(
        id=form.id or form.name,
        name=form.name,
        approved=form.approved,
        status=form.status,
        visibility=form.visibility,
        os=form.os or "",
        size=_whole(form.size, "$.size"),
        min_disk=_whole(form.min_disk, "$.min_disk"),
        min_memory=_whole(form.min_memory, "$.min_memory"),
        tags=frozenset(form.tags),
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of one request, as `schemas/request.json` holds it."""
    return schema_of(RequestForm, "request", "A request: a job, a job inside a VM, a VM, or a pool of VMs")


# ------------------------------------------------------- names and quantities


def _whole(size: int | str, path: str) -> int:
    return _mib(size, path) if isinstance(size, str) else size


def _mib(size: str, path: str) -> int:
    number = int(size[:-3]) * _SIZES[size[-3:]]
    if number > _MOST_MIB:
        raise WireError(path, f"{size} is more than {_MOST_MIB >> 20}TiB", _SIZE_HELP)
    return number


def seconds(walltime: str, path: str) -> int:
    """A duration as it is written, such as `12h`, or `unlimited`. Raises WireError."""
    if walltime == "unlimited":
        return UNLIMITED
    number = int(walltime[:-1]) * _DURATIONS[walltime[-1]]
    if number > _MOST_SECONDS:
        raise WireError(path, f"{walltime} is more than 36500d", 'write "unlimited" for no end')
    return number


def _flavour(name: str, known: Known) -> Flavour | None:
    """A site that lists no flavours leaves them to the cloud: then any name goes through."""
    if not known.flavours:
        return None
    if (flavour := known.flavours.get(name)) is None:
        raise WireError("$.flavour", f"no flavour {name!r} is offered here", _near(name, known.flavours))
    return flavour


def _image(image: str | ImageForm, known: Known) -> Image:
    if isinstance(image, ImageForm):
        try:
            return to_image(image)
        except WireError as error:
            raise error.within("$.image") from None
    if (found := known.images.get(image)) is None:
        raise WireError("$.image", f"no image {image!r} is known here", _near(image, known.images))
    return found


def _attributes(values: Mapping[str, str | int | bool], known: Known) -> dict[str, str | int | bool]:
    read: dict[str, str | int | bool] = {}
    for name, value in values.items():
        path = f"$.attributes.{name}"
        if (declared := known.attributes.get(name)) is None:
            raise WireError(path, f"the site declares no attribute {name!r}", _near(name, known.attributes))
        read[name] = _typed(value, declared.type, path)
    return read


def _typed(value: str | int | bool, type_: Type, path: str) -> str | int | bool:
    match type_:
        case Type.TRUTH if isinstance(value, bool):
            return value
        case Type.STRING if isinstance(value, str):
            return value
        case Type.NUMBER if isinstance(value, int) and not isinstance(value, bool):
            return value
        case Type.SIZE | Type.DURATION if not isinstance(value, bool):
            units = _SIZES if type_ is Type.SIZE else _DURATIONS
            return _quantity(value, units, type_, path)
    raise WireError(path, f"the site declares this as a {type_}, not {_shown(value)}")


def _quantity(value: int | str, units: Mapping[str, int], type_: Type, path: str) -> int:
    if isinstance(value, int):
        return value
    if matched := re.fullmatch(rf"([0-9]{{1,10}})({'|'.join(units)})", value):
        return int(matched[1]) * units[matched[2]]
    raise WireError(path, f"{_shown(value)} is not a {type_}", f"units known here: {', '.join(units)}")


# ------------------------------------------------------------------- wording


def _explained(error: msgspec.ValidationError, value: Callable[[], object]) -> WireError:
    """The library's error in the words of whoever wrote the request."""
    message, _, where = str(error).partition(" - at ")
    path = where.rpartition(" in ")[2].strip("`") or "$"
    if "[...]" in path:
        with suppress(msgspec.DecodeError, RecursionError):  # what follows the first error may be anything
            path = _named(path, value())
    if unknown := re.fullmatch(r"Object contains unknown field `([\s\S]*)`", message):
        name = unknown[1][:80]
        fields = ImageForm.__struct_fields__ if path.endswith(".image") else RequestForm.__struct_fields__
        return WireError(f"{path}.{name}", "there is no such field", _near(name, fields))
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", message):
        path = f"{path}.{missing[1]}"
        return WireError(path, "this field is missing", f"add it: {_help(path)}")
    if "matching regex" in message:
        message = "this text is not of the right form"
    return WireError(path, _lower(message.replace("`", "").replace(" | ", " or ")), _help(path))


def _named(path: str, value: object) -> str:
    """`$.attributes[...]` with the first key whose value is not of the right form in its place."""
    index = re.match(r"\$\[(\d+)\]", path)
    one: Any = value[int(index[1])] if index and isinstance(value, list) else value
    for key, attribute in one["attributes"].items():
        try:
            msgspec.convert(attribute, Value)
        except msgspec.ValidationError:
            return path.replace("[...]", f".{key[:80]}")
    return path


def _help(path: str) -> str | None:
    if re.fullmatch(r"\$(\[\d+\])?", path):
        return _BODY_HELP
    defs = msgspec.json.schema(RequestForm)["$defs"]
    for name in reversed(re.findall(r"\.(\w+)", path)):
        for form in ("RequestForm", "ImageForm"):
            if said := defs[form]["properties"].get(name, {}).get("description"):
                return str(said)
    return None


def _near(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    if near := get_close_matches(word, names, 1, 0.6):
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(names[:24])}" if names else "none are known here"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)[:80]


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
