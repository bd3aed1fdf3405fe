import pytest
from wnodes_engine.documents import DocumentError
from wnodes_engine.state_file import MOST_NODES, load_farm
from wnodes_engine.values import Node


def farm(tmp_path, text: str):
    path = tmp_path / "farm.yaml"
    path.write_text(text)
    return load_farm(path)


def test_a_node_is_read_with_everything_it_has(tmp_path):
    text = """nodes:
      - {name: gpu1, cores: 64, memory: 512GiB, gpus: 8, disk: 2TiB, hs23: 12.525,
         properties: [ssd], up: false}
    """
    assert farm(tmp_path, text) == (
        Node("gpu1", 64, 512 << 10, 8, 2 << 20, 12_525, frozenset({"ssd"}), False),
    )


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("wn[8-11]", "wn8 wn9 wn10 wn11"),
        ("wn[008-011]", "wn008 wn009 wn010 wn011"),
        ("r[1-2]-n[1,3]", "r1-n1 r1-n3 r2-n1 r2-n3"),
        ("n[1-2].site", "n1.site n2.site"),
        ("n[5]", "n5"),
    ],
)
def test_a_range_of_names_stands_for_many_nodes_alike(tmp_path, name, names):
    nodes = farm(tmp_path, f"nodes: [{{name: '{name}', cores: 2, memory: 4096}}]")
    assert " ".join(node.name for node in nodes) == names
    assert {node.memory for node in nodes} == {4096}


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("nodes: []", 1, 1, "must not be empty"),
        ("nodes:\n  - {name: a, cores: 0, memory: 1GiB}", 2, 22, "at least 1, not 0"),
        ("nodes:\n  - {name: a, cores: 2, memory: 1GB}", 2, 33, "not of the right form"),
        ("nodes:\n  - {name: a, cores: 2}", 2, 5, "'memory' is missing"),
        ("nodes:\n  - {name: a, cores: 2, memory: 1GiB, ram: 2}", 2, 39, "unknown key 'ram'"),
        ("nodes:\n  - {name: 'a b', cores: 2, memory: 1GiB}", 2, 12, "not of the right form"),
        ("nodes:\n  - {name: 'a[1-]', cores: 2, memory: 1GiB}", 2, 12, "not of the right form"),
        ("nodes:\n  - {name: 'a[2-1]', cores: 2, memory: 1GiB}", 2, 12, "runs backwards"),
        ("nodes:\n  - {name: 'a[1-2,2]', cores: 2, memory: 1GiB}", 2, 12, "says the same name twice"),
        ("nodes:\n  - {name: a, cores: 2, memory: 1}\n  - {name: a, cores: 2, memory: 1}", 3, 12, "already"),
        (f"nodes:\n  - {{name: 'a[0-{MOST_NODES}]', cores: 2, memory: 1}}", 2, 12, "more than 200,000 nodes"),
        ("nodes:\n  - {name: 'a[1-999999999999][1-99999999999]', cores: 2, memory: 1}", 2, 12, "more than"),
        ("nodes:\n  - {name: a, cores: 2, memory: 1, hs23: 1.2345}", 2, 42, "more decimals than are kept"),
        ("nodes:\n  - {name: a, cores: 2, memory: 9999999999999TiB}", 2, 33, "too large"),
    ],
)
def test_a_broken_farm_is_named_with_its_place(tmp_path, text, line, column, message):
    with pytest.raises(DocumentError) as caught:
        farm(tmp_path, text)
    (found,) = caught.value.findings
    assert (found.span.line, found.span.column) == (line, column)
    assert message in found.message


def test_all_broken_nodes_are_named_at_once(tmp_path):
    text = "nodes:\n- {name: 'a[2-1]', cores: 1, memory: 1}\n- {name: b, cores: 1, memory: 1, hs23: 0.00001}"
    with pytest.raises(DocumentError) as caught:
        farm(tmp_path, text)
    assert [found.span.line for found in caught.value.findings] == [2, 3]
