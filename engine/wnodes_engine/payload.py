"""What a request is to run: the script of a job, and how a machine is to be equipped.

No decision depends on it, and it may hold secrets: it is kept apart from the request, and is shown to nobody.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

LARGEST_SCRIPT: Final = 1 << 20
"""So many characters of a script are taken; Slurm alone takes 4 MiB."""
LARGEST_USER_DATA: Final = 49_149
"""So many characters of user data are taken: in base 64 Nova takes 65,535 bytes."""

_NO_NUL: Final = r"^[^\u0000]*(?![\s\S])"
_NAME: Final = r"^(?![\s\S]*[\u0000-\u001f\u007f-\u009f])"
_Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=_NAME)]
_Names = Annotated[tuple[_Name, ...], Meta(max_length=16)]
_GiB = Annotated[int, Meta(ge=0, le=1 << 20)]

Script = Annotated[str, Meta(max_length=LARGEST_SCRIPT, pattern=_NO_NUL)]


class VolumeForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A new volume; it goes with the machine unless it is `kept`."""

    size: Annotated[int, Meta(ge=1, le=1 << 20, description="in GiB")]
    type: Annotated[str, Meta(max_length=256, pattern=_NAME, description="a volume type of the cloud")] = ""
    kept: bool = False


class MachineForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How each machine of a request is equipped; what is left out is the cloud's default."""

    user_data: Annotated[
        str,
        Meta(
            max_length=LARGEST_USER_DATA, pattern=_NO_NUL, description="for cloud-init: a script or a config"
        ),
    ] = ""
    ssh_keys: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=8192, pattern=_NAME)], ...],
        Meta(max_length=32, description="OpenSSH public keys that may log in"),
    ] = ()
    key_pair: Annotated[
        _Name | None, Meta(description="a key pair that the requester has in the cloud, by its name")
    ] = None
    networks: Annotated[_Names, Meta(description="names or ids of networks")] = ()
    security_groups: Annotated[_Names, Meta(description="names or ids of security groups")] = ()
    boot_volume: Annotated[
        _GiB, Meta(description="GiB of a new volume as root disk; 0 for a disk of the host")
    ] = 0
    volumes: Annotated[tuple[VolumeForm, ...], Meta(max_length=16)] = ()

    @property
    def volume_count(self) -> int:
        """How many volumes each machine gets."""
        return len(self.volumes) + bool(self.boot_volume)


class Payload(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a request runs. An empty script holds the cores until the walltime is over, or it is cancelled."""

    script: str = ""
    machine: MachineForm = MachineForm()


NOTHING: Final = Payload()
