"""Who calls, and what they may do, of a running daemon: by the socket, by tokens, over TLS."""

from __future__ import annotations

import datetime
import json
import os
import pwd
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sites.issuing import Issuer
from sites.running import Site, form, until
from wnodes_daemon.client import ApiError, Caller, Client
from wnodes_engine.wire import convert

JOB = {"kind": "job", "origin": "grid", "cores": 1, "walltime": "unlimited"}
Bearer = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def issuer(shared_site: Site) -> Issuer:
    return Issuer(shared_site.folder / "keys.json")


@pytest.fixture(scope="module")
def address(shared_site: Site, issuer: Issuer) -> str:
    """The loopback port of a daemon that believes the issuer, and has a socket as well."""
    access = {"issuers": [issuer.config()], "rate": 50, "shares": {"grid.lhc": ["eve"]}}
    listen = {"socket": "wnodesd.sock", "port": 0}
    shared_site.write(daemon={"access": access, "listen": listen}, unlimited=36000)
    shared_site.start()
    on: list[str] = next(line["on"] for line in shared_site.log() if line["event"] == "serving")
    return on[-1]


@pytest.fixture
def bearer(address: str, issuer: Issuer) -> Iterator[Bearer]:
    """Makes clients that bring a token with these claims."""
    made: list[httpx.Client] = []

    def make(**claims: Any) -> httpx.Client:
        headers = {"authorization": f"Bearer {issuer.token(**claims)}"}
        made.append(httpx.Client(base_url=address, headers=headers, trust_env=False, timeout=30))
        return made[-1]

    yield make
    for client in made:
        client.close()


def submitted(client: httpx.Client, **fields: Any) -> str:
    answer = client.post("/v1/requests", json=JOB | fields)
    assert answer.status_code == 201, answer.text
    id_: str = answer.json()["id"]
    return id_


def test_a_request_is_the_bearers_whatever_it_leaves_out(bearer: Bearer) -> None:
    client = bearer()
    shown = client.get(f"/v1/requests/{submitted(client)}").json()
    assert (shown["request"]["user"], shown["request"]["group"], shown["share"]) == ("ada", "cms", "grid.lhc")


def test_without_a_token_nobody_is_known_on_a_port(address: str) -> None:
    for method, path in (("GET", "/v1/requests"), ("POST", "/v1/requests"), ("POST", "/v1/policy/reload")):
        answer = httpx.request(method, address + path, json=JOB, trust_env=False)
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:wnodes:problem:unknown")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_that_does_not_hold_is_told_why_and_is_not_shown(
    bearer: Bearer, issuer: Issuer, shared_site: Site
) -> None:
    client = bearer(aud="elsewhere")
    answer = client.get("/v1/requests")
    assert answer.status_code == 401
    assert "audience" in answer.json()["detail"]
    token = client.headers["authorization"].removeprefix("Bearer ")
    assert token not in answer.text
    assert token not in (shared_site.folder / "log").read_text()


def test_a_bad_token_on_the_socket_does_not_fall_back_to_the_sockets_user(
    shared_site: Site, address: str
) -> None:
    with (
        Client(shared_site.address, caller=Caller(bearer="x.y.z")) as client,
        pytest.raises(ApiError) as caught,
    ):
        client.shares()
    assert caught.value.problem.status == 401


@pytest.mark.parametrize(
    ("fields", "path"),
    [({"user": "eve"}, "$.user"), ({"group": "lab"}, "$.group"), ({"origin": "local"}, "$.origin")],
)
def test_nobody_asks_in_anothers_name(bearer: Bearer, fields: dict[str, str], path: str) -> None:
    for where in ("/v1/requests", "/v1/decisions"):
        answer = bearer().post(where, json=JOB | fields)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:wnodes:problem:forbidden")
        assert answer.json()["errors"][0]["path"] == path


def test_a_gateway_does(bearer: Bearer) -> None:
    gateway = bearer(**{"wlcg.groups": ["/cms", "/cms/ce"]})
    id_ = submitted(gateway, user="kay", group="atlas")
    assert gateway.get(f"/v1/requests/{id_}").json()["request"]["user"] == "kay"


def test_a_user_sees_and_takes_back_only_what_is_theirs(bearer: Bearer) -> None:
    ada, eve = bearer(), bearer(sub="0c5a-eve")
    id_ = submitted(ada)
    for answer in (
        eve.get(f"/v1/requests/{id_}"),
        eve.get(f"/v1/requests/{id_}/events"),
        eve.delete(f"/v1/requests/{id_}"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:wnodes:problem:not-found")
    assert eve.get("/v1/requests/999999").json()["detail"].replace("999999", id_) == answer.json()["detail"]
    listed = eve.get("/v1/requests", params={"user": "ada"}).json()["requests"]
    assert listed == []
    assert {one["request"]["user"] for one in ada.get("/v1/requests").json()["requests"]} == {"ada"}
    assert ada.delete(f"/v1/requests/{id_}").status_code in {200, 202}


def test_an_operator_sees_and_takes_back_what_is_anybodys(bearer: Bearer) -> None:
    id_ = submitted(bearer())
    operator = bearer(sub="0c5a-eve", **{"wlcg.groups": ["/cms", "/cms/shift"]})
    assert operator.get(f"/v1/requests/{id_}").status_code == 200
    assert operator.delete(f"/v1/requests/{id_}").status_code in {200, 202}


@pytest.mark.parametrize("path", ["/v1/policy/reload", "/v1/policy/rollback", "/v1/policy/dry-run"])
def test_policies_are_not_for_users(bearer: Bearer, path: str) -> None:
    answer = bearer().post(path, json={})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:wnodes:problem:forbidden")


def test_policies_are_for_admins(bearer: Bearer) -> None:
    admin = bearer(**{"wlcg.groups": ["/cms", "/wnodes/admins"]})
    assert admin.post("/v1/policy/reload", json={}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/requests", "compute.create"),
        ("GET", "/v1/requests", "compute.read"),
        ("DELETE", "/v1/requests/1", "compute.cancel"),
        ("POST", "/v1/policy/reload", "compute.modify"),
    ],
)
def test_a_token_is_for_what_its_scopes_say(bearer: Bearer, method: str, path: str, scope: str) -> None:
    others = " ".join({"compute.read", "compute.create", "compute.cancel", "compute.modify"} - {scope})
    admin = bearer(scope=others, **{"wlcg.groups": ["/cms", "/wnodes/admins"]})
    answer = admin.request(method, path, json=JOB)
    assert answer.status_code == 403
    assert scope in answer.json()["detail"]


def test_a_key_of_a_call_is_its_callers_own(bearer: Bearer) -> None:
    headers = {"idempotency-key": "mine"}
    first = bearer().post("/v1/requests", json=JOB, headers=headers).json()["id"]
    again = bearer().post("/v1/requests", json=JOB, headers=headers).json()["id"]
    other = bearer(sub="0c5a-eve").post("/v1/requests", json=JOB, headers=headers).json()["id"]
    assert first == again != other


def test_who_asks_too_fast_is_told_when_to_come_back_and_others_are_not(bearer: Bearer) -> None:
    eve, ada = bearer(sub="0c5a-eve"), bearer()
    answers = [eve.post("/v1/decisions", json=[JOB] * 100) for _ in range(10)]
    late = [answer for answer in answers if answer.status_code == 429]
    assert late
    assert int(late[0].headers["retry-after"]) >= 1
    assert ada.post("/v1/decisions", json=JOB).status_code == 200


def test_a_watch_tells_each_state_until_the_end(bearer: Bearer, address: str, issuer: Issuer) -> None:
    with Client(address, caller=Caller(bearer=issuer.token())) as client:
        id_ = client.submit(convert(JOB)).id
        states = []
        for view in client.watch(id_):
            states.append(view.state)
            if view.state == "running" and not view.cancelling:
                client.cancel(id_)
    assert list(dict.fromkeys(states))[-2:] == ["running", "cancelled"]


# ------------------------------------------------------------------ the socket


def test_the_kernel_says_who_is_at_the_other_end_of_the_socket(shared_site: Site, address: str) -> None:
    with Client(shared_site.address) as client:
        id_ = client.submit(convert({"kind": "job", "origin": "local", "cores": 1})).id
        assert client.show(id_).request.user == pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_of_the_machine_is_that_user_and_no_admin(bearer: Bearer) -> None:
    with tempfile.TemporaryDirectory(prefix="wnodes-") as name:  # where others may go, too
        Path(name).chmod(0o755)
        site = Site(Path(name))
        site.write(daemon={"access": {"roles": {"guest": ["nobody"]}}})
        client = site.start()
        client.submit(form(user="ada"))
        try:
            told = asked_as_nobody(Path(name))
        finally:
            site.end()
    assert told["own"]["user"] == "nobody"
    assert told["own"]["roles"] == ["guest"]
    assert told["listed"] == ["nobody"]
    assert told["in the name of ada"] == told["policy"] == 403
    assert told["ada's"] == 404


def asked_as_nobody(folder: Path) -> dict[str, Any]:
    """What the daemon lets the user `nobody` do."""
    child = os.fork()
    out = folder / "told.json"
    out.touch()
    out.chmod(0o666)
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        os.environ["HOME"] = "/"
        status = 1
        try:
            out.write_text(json.dumps(tried(f"unix:{folder}/wnodesd.sock")))
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    told: dict[str, Any] = json.loads(out.read_text())
    return told


def tried(address: str) -> dict[str, Any]:
    def refused(do: Callable[[], object]) -> int:
        try:
            do()
        except ApiError as error:
            return error.problem.status
        return 200

    with Client(address) as client:
        own = client.submit(convert({"kind": "job", "origin": "local", "cores": 1})).request
        return {
            "own": {"user": own.user, "roles": own.roles},
            "listed": [view.request.user for view in client.requests()],
            "in the name of ada": refused(lambda: client.submit(form(user="ada"))),
            "policy": refused(lambda: client.policy("reload")),
            "ada's": refused(lambda: client.show("1")),
        }


# ------------------------------------------------------------------------- TLS


def certificate(folder: Path, name: str) -> None:
    """A key and a certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]),
            False,
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").touch(0o600)
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def test_tokens_travel_over_tls_and_a_new_certificate_is_taken_on_sighup(site: Site) -> None:
    certificate(site.folder, "first")
    issuer = Issuer(site.folder / "keys.json")
    listen = {"socket": "wnodesd.sock", "port": 0, "certificate": "tls.pem", "key": "tls.key"}
    site.write(daemon={"listen": listen, "access": {"issuers": [issuer.config()]}})
    site.start()
    address = next(line["on"] for line in site.log() if line["event"] == "serving")[-1]
    assert address.startswith("https://")
    caller = Caller(bearer=issuer.token(), certificates=str(site.folder / "tls.pem"))
    with Client(address, caller=caller) as client:
        assert client.submit(convert(JOB)).request.user == "ada"
    port = int(address.rpartition(":")[2])
    first = ssl.get_server_certificate(("127.0.0.1", port))
    certificate(site.folder, "second")
    assert site.process is not None
    site.process.send_signal(signal.SIGHUP)
    until(lambda: ssl.get_server_certificate(("127.0.0.1", port)) != first)


def test_a_port_beyond_loopback_wants_a_certificate_and_a_key_that_others_cannot_read(site: Site) -> None:
    certificate(site.folder, "own")
    (site.folder / "tls.key").chmod(0o644)
    for listen, why in (
        ({"host": "192.0.2.1", "port": 0}, "certificate"),
        ({"port": 0, "certificate": "tls.pem", "key": "tls.key"}, "chmod 600"),
        ({"port": 0, "certificate": "tls.pem", "key": "farm.yaml"}, "farm.yaml"),
    ):
        site.write(daemon={"listen": listen})
        argv = [str(Path(sys.executable).with_name("wnodesd")), "--config", str(site.file)]
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 1
        assert why in ended.stderr
        assert "Traceback" not in ended.stderr
