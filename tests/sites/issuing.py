"""An issuer of tokens for tests: keys of its own, and the site's word that it is believed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ISSUER = "https://cms-auth.example.org/"
AUDIENCE = "https://wnodes.example.org"
ALL = "compute.read compute.create compute.cancel compute.modify"


class Issuer:
    """Signs tokens; `publish` writes the keys where the daemon reads them."""

    def __init__(self, file: Path, kid: str = "first") -> None:
        self.file = file
        self.kid = kid
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.publish()

    def publish(self) -> None:
        public = json.loads(ECAlgorithm.to_jwk(self.key.public_key()))
        self.file.write_text(json.dumps({"keys": [public | {"kid": self.kid, "alg": "ES256", "use": "sig"}]}))

    def rotate(self, kid: str) -> None:
        """Sign with another key from now on."""
        self.kid, self.key = kid, ec.generate_private_key(ec.SECP256R1())

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "0c5a-ada",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "scope": ALL,
            "wlcg.ver": "1.0",
            "wlcg.groups": ["/cms"],
        } | changed
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, **changed: Any) -> str:
        """A token with these claims changed; None takes one out."""
        return jwt.encode(self.claims(**changed), self.key, algorithm="ES256", headers={"kid": self.kid})

    def config(self, **changed: Any) -> dict[str, Any]:
        """The entry of `site.yaml` that believes it."""
        return {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "keys": self.file.name,
            "users": {"0c5a-ada": "ada", "0c5a-eve": "eve"},
            "groups": {"/cms": "cms", "/cms/production": "cmsprod"},
            "roles": {"/cms/production": "production"},
            "rights": {"/cms/shift": "operator", "/cms/ce": "gateway", "/wnodes/admins": "admin"},
        } | changed
