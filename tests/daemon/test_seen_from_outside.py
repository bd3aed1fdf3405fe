"""What probes, Prometheus and the journal see of a daemon."""

from __future__ import annotations

import configparser
import json
import re
import resource
import socket
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sites.running import Site, form, until
from wnodes_daemon.client import ApiError, Client

FILES = Path(__file__).parents[2] / "daemon/files"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def client(shared_site: Site) -> Client:
    shared_site.write(speed=60, unlimited=36000)
    return shared_site.start()


@pytest.fixture(scope="module")
def raw(client: Client, shared_site: Site) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(shared_site.folder / "wnodesd.sock"))
    return httpx.Client(transport=transport, base_url="http://wnodesd", timeout=30)


def metrics(raw: httpx.Client) -> Samples:
    answer = raw.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


def test_a_daemon_that_serves_lives_and_is_ready(raw: httpx.Client) -> None:
    assert [raw.get(path).status_code for path in ("/livez", "/readyz")] == [200, 200]


def test_requests_decisions_and_reasons_are_counted(client: Client, raw: httpx.Client) -> None:
    def counted() -> list[float]:
        samples = metrics(raw)
        return [
            samples.get((name, tuple(sorted(labels.items()))), 0.0)
            for name, labels in (
                ("wnodes_requests_taken_in_total", {"share": "local"}),
                ("wnodes_decisions_total", {"asked": "request", "outcome": "deny"}),
                ("wnodes_decision_reasons_total", {"outcome": "deny", "code": "rule"}),
                ("wnodes_decisions_total", {"asked": "question", "outcome": "start"}),
                ("wnodes_dispatches_total", {"backend": "farm"}),
                ("wnodes_requests_over_total", {"state": "done"}),
            )
        ]

    before = counted()
    client.submit_all([form(user="ada", walltime=60), form(user="mallory"), form(user="ada", walltime=60)])
    client.decide(form(user="ada"))
    expected = [now + more for now, more in zip(before, (2, 1, 1, 1, 2, 2), strict=True)]
    until(lambda: counted() == expected)


def test_the_state_of_the_farm_is_shown_as_it_is(client: Client, raw: httpx.Client) -> None:
    id_ = client.submit(form(user="grace", cores=3, walltime="unlimited")).id
    until(lambda: client.show(id_).state == "running")
    samples = metrics(raw)
    by_path = {share.path: share for share in client.shares()}
    for path, share in by_path.items():
        for name in share.nominal:
            labels = {"share": path, "resource": name}
            assert value(samples, "wnodes_share_used", **labels) == share.used[name]
            assert value(samples, "wnodes_share_promised", **labels) == share.nominal[name]
        assert value(samples, "wnodes_share_running", share=path) == share.running
    assert value(samples, "wnodes_nodes", state="up") == 4
    assert (value(samples, "wnodes_leads"), value(samples, "wnodes_store_broken")) == (1, 0)
    client.cancel(id_)


def test_times_are_measured_of_calls_commits_passes_and_backends(client: Client, raw: httpx.Client) -> None:
    client.submit(form(user="ada", walltime=60))
    samples = metrics(raw)
    assert value(samples, "wnodes_call_seconds_count", method="POST", path="/v1/requests", status="201") > 0
    assert value(samples, "wnodes_store_commit_seconds_count") > 0
    assert value(samples, "wnodes_pass_seconds_count") > 0
    assert value(samples, "wnodes_backend_answer_seconds_count", backend="farm", what="snapshot") > 0
    assert value(samples, "process_resident_memory_bytes") > 0


def test_no_label_has_what_a_user_wrote(client: Client, raw: httpx.Client) -> None:
    client.submit(form(user="somebody", group="some-group", name="some-name", walltime=60))
    with pytest.raises(ApiError):
        client.show("some-id")
    raw.get("/v1/requests/some-other-id")
    text = raw.get("/metrics").text
    assert not any(word in text for word in ("somebody", "some-group", "some-name", "some-id", "some-other"))


def test_the_log_says_who_did_what(client: Client, shared_site: Site) -> None:
    id_ = client.submit(form(user="ada", walltime="unlimited")).id
    client.cancel(id_)
    client.policy("reload")

    def told() -> list[str]:
        about = [line for line in shared_site.log() if "by" in line]
        own = [line for line in about if int(id_) in (line.get("request"), *line.get("requests", ()))]
        return [line["event"] for line in own + about[-1:]]

    until(lambda: told() == ["taken in", "taken back", "the policy is to be reloaded"])


def test_a_daemon_whose_store_cannot_be_written_is_not_ready(site: Site) -> None:
    site.write(daemon={"tick": 0.1})
    client = site.start()
    transport = httpx.HTTPTransport(uds=str(site.folder / "wnodesd.sock"))
    with httpx.Client(transport=transport, base_url="http://wnodesd", timeout=30) as raw:
        assert raw.get("/readyz").status_code == 200
        assert site.process is not None
        resource.prlimit(site.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

        with pytest.raises(ApiError):
            client.submit(form())

        def unready() -> bool:
            answer = raw.get("/readyz")
            return answer.status_code == 503 and "store" in answer.text

        assert all(unready() for _ in range(100))  # it stays so, though it can be read
        assert metrics(raw)["wnodes_store_broken", ()] == 1
        assert raw.get("/livez").status_code == 200
        resource.prlimit(site.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        until(lambda: raw.get("/readyz").status_code == 200)


def test_the_service_manager_is_told_ready_alive_and_ending(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        site.start()
        told = [manager.recv(1000).decode() for _ in range(8)]
        assert "READY=1" in told
        assert "STATUS=serving policy little" in told
        assert told.count("WATCHDOG=1") >= 3
        site.end()
        while told[-1] != "STOPPING=1":
            told.append(manager.recv(1000).decode())


def test_the_unit_starts_the_program_and_asks_for_what_the_daemon_gives() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(FILES / "wnodesd.service")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["ExecStart"].endswith("wnodesd --config /etc/wnodes/site.yaml")
    assert int(service["WatchdogSec"]) > 0


def test_the_dashboard_asks_for_nothing_that_is_not_measured(raw: httpx.Client, client: Client) -> None:
    client.submit(form(user="mallory2", walltime=60))
    dashboard = json.loads((FILES / "grafana.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\b((?:wnodes|process)_\w+)", target["expr"])
    }
    families = {family.name for family in text_string_to_metric_families(raw.get("/metrics").text)}
    measured = {f"{name}{end}" for name in families for end in ("", "_total", "_bucket", "_count")}
    assert asked
    assert asked <= measured
