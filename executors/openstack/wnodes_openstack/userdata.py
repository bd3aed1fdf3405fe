"""User data: the requester's own, and the public keys that may log in, as one thing for cloud-init."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Final

MOST: Final = 65535
"""What Nova takes, in bytes, once it is in base 64."""

_KINDS: Final = (
    ("#cloud-config", "cloud-config"),
    ("#!", "x-shellscript"),
    ("#include", "x-include-url"),
    ("#cloud-boothook", "cloud-boothook"),
    ("#part-handler", "part-handler"),
    ("## template: jinja", "jinja2"),
)
_KEY: Final = re.compile(
    r"(ssh-(rsa|ed25519|dss)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" [A-Za-z0-9+/]{20,}={0,2}( [^\x00-\x1f\x7f]{0,256})?"
)


class UserDataError(Exception):
    """User data that cannot be handed over; the message is for the requester."""


def compose(user_data: str, keys: Sequence[str]) -> str:
    """User data in base 64, empty if there is none. Raises UserDataError."""
    for key in keys:
        if not _KEY.fullmatch(key.strip()):
            raise UserDataError(f"{key[:40]!r} is not an OpenSSH public key")
    if not keys:
        return _coded(user_data)
    config = "#cloud-config\n" + json.dumps({"ssh_authorized_keys": [key.strip() for key in keys]}) + "\n"
    if not user_data:
        return _coded(config)
    kind = next((kind for begins, kind in _KINDS if user_data.startswith(begins)), None)
    if kind is None:
        raise UserDataError(
            "the user data begins with none of cloud-init's marks: let it begin with #cloud-config or #!"
        )
    parts = MIMEMultipart(boundary="==wnodes==")
    for text, subtype in ((config, "cloud-config"), (user_data, kind)):
        part = MIMEText(text, subtype, "utf-8")
        part.add_header("X-Merge-Type", "list(append)+dict(no_replace,recurse_list)+str()")
        parts.attach(part)
    return _coded(parts.as_string())


def _coded(text: str) -> str:
    coded = base64.b64encode(text.encode()).decode()
    if len(coded) > MOST:
        raise UserDataError(f"the user data has {len(coded)} bytes in base 64, and may have {MOST}")
    return coded
