"""The site file, and policies that are checked against it."""

from pathlib import Path

import pytest
from wnodes_engine.check.checked import SiteAttribute
from wnodes_engine.check.policy import check_policy
from wnodes_engine.documents import DocumentError
from wnodes_engine.findings import Finding
from wnodes_engine.language.load import load_text
from wnodes_engine.language.vocabulary import Trust, Type
from wnodes_engine.site import Flavour, Site, load_site
from wnodes_engine.values import Image

SITE = """name: uni
timezone: Europe/Rome
policy: uni.policy
farm: farm.yaml
groups: [phys, astro]
roles: [ops]
queues: [short, long]
accounts: []
properties: [ssd]
images:
  cc7: {approved: true, min_memory: 2GiB}
  plain:
flavours:
  small: {cores: 1, memory: 2GiB}
attributes:
  experiment: {type: string, trust: claimed}
  urgent: {type: boolean, trust: vouched, default: false}
  patience: {type: duration, trust: claimed, default: 90m}
backends:
  slurm: {driver: slurm, options: {cluster: c1}}
executors:
  openstack: {driver: openstack}
daemon:
  listen: {port: 8080}
  store: state/wnodes.sqlite
"""


def site_of(folder: Path, text: str = SITE) -> Site:
    path = folder / "site.yaml"
    path.write_text(text)
    return load_site(path)


def refused(folder: Path, text: str) -> list[Finding]:
    with pytest.raises(DocumentError) as error:
        site_of(folder, text)
    assert error.value.texts == {str(folder / "site.yaml"): text}
    return error.value.findings


def test_a_site_is_read(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    assert (site.name, site.time_zone) == ("uni", "Europe/Rome")
    assert site.farm == tmp_path / "farm.yaml"
    assert site.groups == {"phys", "astro"}
    assert site.accounts == frozenset()
    assert site.users is None
    assert site.images is not None
    assert site.images["cc7"] == Image("cc7", "cc7", approved=True, min_memory=2048)
    assert site.images["plain"].approved is False
    assert site.flavours == {"small": Flavour(1, 2048)}
    assert site.attributes[2] == SiteAttribute("patience", Type.DURATION, Trust.CLAIMED, 5400)
    assert site.backends["slurm"].options == {"cluster": "c1"}
    assert site.daemon.store == str(tmp_path / "state" / "wnodes.sqlite")
    assert (site.daemon.host, site.daemon.port) == ("127.0.0.1", 8080)


def test_the_files_of_a_site_have_short_names_relative_where_its_own_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("demo", "policies"):
        (tmp_path / folder).mkdir()
    text = "name: s\ntimezone: UTC\npolicy: ../policies/a.policy\nfarm: farm.yaml\n"
    site = site_of(tmp_path / "demo", text)
    assert (site.policy, site.farm) == (tmp_path / "policies" / "a.policy", tmp_path / "demo" / "farm.yaml")
    assert ".." not in str(site.policy)
    monkeypatch.chdir(tmp_path)
    site = load_site("demo/site.yaml")
    assert (str(site.policy), str(site.farm)) == ("policies/a.policy", "demo/farm.yaml")


def test_a_site_behind_a_link_finds_what_is_beside_the_file_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    site_of(tmp_path / "real")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "real" / "site.yaml")
    assert load_site(tmp_path / "link.yaml").policy == tmp_path / "real" / "uni.policy"


@pytest.mark.parametrize(
    ("change", "code", "place", "message", "mend"),
    [
        (("Europe/Rome", "Europe/Roma"), "E193", (2, 11), "unknown time zone", "Europe/Rome"),
        (("name: uni\n", ""), "E192", (1, 1), "'name' is missing", "name: …"),
        (("farm:", "fram:"), "E192", (4, 1), "unknown key 'fram'", "did you mean 'farm'?"),
        (("type: string", "type: text"), "E192", (16, 22), "unknown value 'text'", "string"),
        (("default: 90m", "default: 90"), "E193", (18, 55), "has to be a duration", "12h"),
        (("default: 90m", "default: 2GiB"), "E193", (18, 55), "has to be a duration", "12h"),
        (("experiment:", "cores:"), "E193", (16, 3), "a word of the language", "site_cores"),
        (("experiment:", "my-own:"), "E193", (16, 3), "cannot be the name", "letters"),
        (("  openstack:", "  slurm:"), "E193", (22, 3), "a backend and an executor", "rename"),
        (("port: 8080", "port: 99999"), "E192", (24, 18), "at most 65535", None),
        (
            ("port: 8080", "port: 8080, certificate: a"),
            "E192",
            (24, 3),
            "with 'certificate' goes 'key'",
            "key: …",
        ),
        (("daemon:", "daemon:\n  tick: 0"), "E192", (24, 9), "at least 0.01", None),
        (("memory: 2GiB}\na", "memory: 2GB}\na"), "E192", (14, 29), "not of the right form", "96GiB"),
        (("[phys, astro]", "[phys, phys]"), "E192", (5, 1), "twice", "keep one"),
        (("[phys, astro]", "phys"), "E192", (5, 9), "has to be a list, not 'phys'", None),
    ],
)
def test_a_mistake_in_the_site_file_is_placed_and_mended(
    tmp_path: Path, change: tuple[str, str], code: str, place: tuple[int, int], message: str, mend: str | None
) -> None:
    (finding,) = refused(tmp_path, SITE.replace(*change, 1))
    assert (finding.code, (finding.span.line, finding.span.column)) == (code, place)
    assert message in finding.message
    assert mend is None or mend in (finding.help or "")


HEAD = "policy t\nshare a 100%\nassign a otherwise\n"
MACHINES = "route vmjob, vm, pool to openstack"
ROUTE = f"route job to slurm\n{MACHINES} through slurm\n"


@pytest.mark.parametrize(
    ("code", "fragment", "mend"),
    [
        ("E181", 'deny "no" when group == «"phsy"»', "did you mean `phys`?"),
        ("E181", 'deny "no" when group in {"phys", "x"}«»', "add it to `groups`"),
        ("E181", 'deny "no" when «"opps"» in roles', "did you mean `ops`?"),
        ("E181", 'quota for group «"phsy"»: cores <= 4', "did you mean `phys`?"),
        ("E181", 'default queue «"fast"»', "add it to `queues`"),
        ("E181", 'nodes with «"nvme"» only when cores > 4', "`properties`"),
        ("E181", f"route job to «slrum»\n{MACHINES} through slurm", "did you mean `slurm`?"),
        ("E181", f'route job to slurm queue «"logn"»\n{MACHINES} through slurm', "`long`"),
        ("E181", f"route job to slurm\n{MACHINES} through «torque»", "the site has `slurm`"),
        ("E181", f'route job to slurm\n{MACHINES} through slurm image «"cc8"»', "`cc7`"),
        ("E182", f"route job to «openstack» through slurm\n{MACHINES} through slurm", "`slurm`"),
        ("E182", "route job to slurm\nroute vmjob, vm, pool to «openstack»", "through slurm"),
        ("E114", 'deny "no" when «experiment» == "cms"', "has experiment"),
    ],
)  # fmt: skip
def test_a_policy_is_held_against_its_site(tmp_path: Path, code: str, fragment: str, mend: str) -> None:
    marked = HEAD + fragment + "\n" + ("" if "route" in fragment else ROUTE)
    start, stop = marked.index("«"), marked.index("»") - 1
    text = marked.replace("«", "").replace("»", "")
    (finding,) = check_policy(load_text(text, "t.policy"), site_of(tmp_path))[1]
    assert finding.code == code
    if start < stop:
        assert text[finding.span.start : finding.span.end] == text[start:stop]
    assert mend in (finding.help or "")


def test_a_sound_policy_passes_at_its_site_and_carries_its_attributes(tmp_path: Path) -> None:
    text = HEAD + 'deny "no" when has experiment and experiment like "c*" unless urgent\n' + ROUTE
    site = site_of(tmp_path)
    policy, findings = check_policy(load_text(text, "t.policy"), site)
    assert policy is not None
    assert findings == []
    assert policy.attributes == site.attributes
    assert policy.time_zone == "Europe/Rome"


def test_a_claimed_attribute_of_the_site_is_a_warning_where_claims_matter(tmp_path: Path) -> None:
    text = HEAD + 'priority +5 when has experiment and experiment == "c"\n' + ROUTE
    (finding,) = check_policy(load_text(text, "t.policy"), site_of(tmp_path))[1]
    assert finding.code == "W101"


def test_a_downtime_is_in_the_time_of_the_site(tmp_path: Path) -> None:
    text = HEAD + 'downtime "2026-07-01 06:00" to "2026-12-01 06:00" on nodes all\n' + ROUTE
    policy, _ = check_policy(load_text(text, "t.policy"), site_of(tmp_path))
    assert policy is not None
    assert (policy.downtimes[0].begin, policy.downtimes[0].end) == (1_782_878_400, 1_796_101_200)


def test_a_downtime_in_the_hour_that_comes_twice_lasts_through_both(tmp_path: Path) -> None:
    text = HEAD + 'downtime "2026-10-25 02:15" to "2026-10-25 02:45" on nodes all\n' + ROUTE
    policy, _ = check_policy(load_text(text, "t.policy"), site_of(tmp_path))
    assert policy is not None
    (downtime,) = policy.downtimes
    assert downtime.begin == 1_792_887_300  # 00:15 by UTC
    assert downtime.end == downtime.begin + 90 * 60


@pytest.mark.parametrize(
    "when", ['"2026-03-29 02:30" to "2026-03-29 09:00"', '"2026-03-28" to "2026-03-29 02:00"']
)
def test_a_downtime_has_no_end_in_the_hour_that_does_not_exist(tmp_path: Path, when: str) -> None:
    text = HEAD + f"downtime {when} on nodes all\n" + ROUTE
    (finding,) = check_policy(load_text(text, "t.policy"), site_of(tmp_path))[1]
    assert finding.code == "E170"
    assert "left out by the clocks of Europe/Rome" in finding.message
