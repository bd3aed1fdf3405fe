"""Images from Glance: finding the one that is meant, and whether it may be booted, and on what."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from wnodes_engine.values import Image

from wnodes_openstack.connections import Link
from wnodes_openstack.errors import expected
from wnodes_openstack.options import Options

_KEPT: Final = 1024
_PAGE: Final = 1000
_MOST: Final = 20_000


class ImageError(Exception):
    """An image that cannot be booted; the message is for the requester."""


class Images:
    """What was found, believed for a while: an image is looked at again before it is used any later."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[float, dict[str, Any]]] = OrderedDict()

    def find(self, link: Link, wanted: str) -> dict[str, Any]:
        """The image with this id, this name, or this `property=value`. Raises ImageError."""
        key, now = (link.project, wanted), self._clock()
        at, found = self._known.get(key, (0.0, {}))
        if found and now - at < self._options.image_age:
            return found
        found = self._again(link, found) if found else {}
        found = found or self._looked_up(link, wanted)
        self._known[key] = (now, found)
        self._known.move_to_end(key)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return found

    def seen_by(self, link: Link) -> list[Image]:
        """Every image that the project can see. Raises ExecutorUnavailable."""
        return [read_image(each, self._options) for each in self._all(link, "/images?sort=id:asc")]

    @staticmethod
    def _again(link: Link, found: Mapping[str, Any]) -> dict[str, Any]:
        """The same image as it is now; empty if it is not there, or is called something else."""
        answer = link.ask("image", "GET", f"/images/{found['id']}")
        same = answer.well and answer.body.get("name") == found.get("name")
        return dict(answer.body) if same else {}

    def _looked_up(self, link: Link, wanted: str) -> dict[str, Any]:
        if "=" not in wanted:
            answer = link.ask("image", "GET", f"/images/{quote(wanted, safe='')}")
            if answer.well:
                return dict(answer.body)
        name, equals, value = wanted.partition("=")
        query = f"{quote(name)}={quote(value)}" if equals else f"name={quote(wanted)}"
        found = [each for each in self._all(link, f"/images?{query}") if not each.get("os_hidden")]
        usable = [each for each in found if each["status"] == "active"] or found
        if not found:
            raise ImageError(f"there is no image {wanted!r} that the project can see")
        if len(usable) > 1 and not equals:
            ids = ", ".join(each["id"] for each in usable[:3])
            raise ImageError(f"{len(usable)} images are called {wanted!r}: name one by its id, such as {ids}")
        newest: dict[str, Any] = max(usable, key=lambda each: str(each.get("created_at", "")))
        return newest

    @staticmethod
    def _all(link: Link, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        following: str | None = f"{path}&limit={_PAGE}"
        while following and len(found) < _MOST:
            body = expected(link.ask("image", "GET", following), "the images")
            found += body["images"]
            following = str(body.get("next") or "").removeprefix("/v2")
        return found


def read_image(shown: Mapping[str, Any], options: Options) -> Image:
    """An image as policies see it: sizes in MiB."""
    return Image(
        id=shown["id"],
        name=shown.get("name") or "",
        approved=is_approved(shown, options),
        status=shown["status"],
        visibility=shown["visibility"],
        os=str(shown.get("os_distro") or ""),
        size=(int(shown.get("size") or 0) + (1 << 20) - 1) >> 20,
        min_disk=int(shown.get("min_disk") or 0) * 1024,
        min_memory=int(shown.get("min_ram") or 0),
        tags=frozenset(shown.get("tags") or ()),
    )


def is_approved(shown: Mapping[str, Any], options: Options) -> bool:
    """Whether the site's list or one of its properties lets it be booted."""
    if not options.approved and not options.approved_by:
        return True
    if {shown["id"], shown.get("name")} & set(options.approved):
        return True
    return any(str(shown.get(name)) == value for name, value in options.approved_by.items())


def why_not(shown: Mapping[str, Any], options: Options, flavour: Mapping[str, Any], disk: int) -> str:
    """Why this image must not be booted with this flavour and a root disk of so many GiB; empty if it may."""
    name = shown.get("name") or shown["id"]
    if shown["status"] != "active":
        return f"the image {name!r} is {shown['status']}, not active"
    if not shown.get("checksum") and not shown.get("os_hash_value"):
        return f"the image {name!r} has no checksum: nobody could tell whether it is what was uploaded"
    if not is_approved(shown, options):
        return f"the image {name!r} is not one that this site has approved"
    if flavour["ram"] < int(shown.get("min_ram") or 0):
        return f"the image {name!r} needs {shown['min_ram']} MiB of memory, the machine has {flavour['ram']}"
    size = int(shown.get("virtual_size") or shown.get("size") or 0)
    needs = max(int(shown.get("min_disk") or 0), (size + (1 << 30) - 1) >> 30)
    if disk and disk < needs:
        return f"the image {name!r} needs a disk of {needs} GiB, the machine has {disk}"
    return ""
