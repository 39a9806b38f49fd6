"""Reads what to_mermaid and to_dot write, by their grammar: anything else is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SHAPES = (
    [r"\[", r"\[/", r"\{", r"\{\{", r"\(\[", r">", r"\[\["],
    [r"\]", r"/\]", r"\}", r"\}\}", r"\]\)", r"\]", r"\]\]"],
)
_TEXT = r"(?:[^\W_]|[ _\-.,:/+=()]|#\d+;|<br/>)+"
_FORMS = "|".join(f'{a}"(?P<t{n}>{_TEXT})"{b}' for n, (a, b) in enumerate(zip(*_SHAPES, strict=True)))
_NODE = re.compile(rf"    (?P<id>s\d+)(?:{_FORMS})")
_EDGE = re.compile(r"    (s\d+) --> (s\d+)")
_CLASS = re.compile(r"    class (s\d+(?:,s\d+)*) (\w+)")
_STYLE = re.compile(r"    classDef (\w+) (?:\w+:#[0-9a-f]{6}(?:,|$))+")
_COMMENT = re.compile(rf"    %% {_TEXT}")


class Flowchart:
    """Names by id, edges as pairs of names, and the class of each name."""

    def __init__(self, text: str) -> None:
        self.labels: dict[str, list[str]] = {}
        self.kinds: dict[str, str] = {}
        self.edges: list[tuple[str, str]] = []
        self.classes: dict[str, str] = {}
        names: dict[str, str] = {}
        styled: set[str] = set()
        first, *lines = text.removesuffix("\n").split("\n")
        assert first == "flowchart TD"
        for line in lines:
            if node := _NODE.fullmatch(line):
                label = next(value for key, value in node.groupdict().items() if key != "id" and value is not None)
                name, *details = (unescaped(part) for part in label.split("<br/>"))
                assert node["id"] not in names
                names[node["id"]] = name
                self.labels[name] = details
                self.kinds[name] = line.split('"')[0].removeprefix(f"    {node['id']}")
            elif edge := _EDGE.fullmatch(line):
                self.edges.append((names[edge[1]], names[edge[2]]))
            elif named := _CLASS.fullmatch(line):
                assert named[2] in styled
                for number in named[1].split(","):
                    assert names[number] not in self.classes
                    self.classes[names[number]] = named[2]
            elif style := _STYLE.fullmatch(line):
                styled.add(style[1])
            else:
                assert _COMMENT.fullmatch(line), f"not Mermaid: {line!r}"


def unescaped(text: str) -> str:
    return re.sub(r"#(\d+);", lambda code: chr(int(code[1])), text)


_STRING = r'"(?:[^"\\\n]|\\.)*"'
_DOT_NODE = re.compile(rf"    (s\d+) \[shape=\w+, label=({_STRING})\];")
_DOT_EDGE = re.compile(r"    (s\d+) -> (s\d+);")


def read_dot(text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Labels by id and edges of a digraph."""
    first, *lines, last, end = text.split("\n")
    assert re.fullmatch(rf"digraph {_STRING} \{{", first)
    assert (last, end) == ("}", "")
    labels, edges = {}, []
    for line in lines:
        if node := _DOT_NODE.fullmatch(line):
            labels[node[1]] = "".join(_meant(node[2][1:-1]))
        else:
            edge = _DOT_EDGE.fullmatch(line)
            assert edge is not None, f"not Graphviz: {line!r}"
            assert edge[1] in labels
            assert edge[2] in labels
            edges.append((edge[1], edge[2]))
    return labels, edges


def _meant(text: str) -> Iterator[str]:
    for one in re.finditer(r"\\(.)|([^\\])", text):
        yield {"n": "\n"}.get(one[1], one[1]) if one[1] else one[2]
