"""The rules of docs/architecture.md, read from the syntax trees of the code itself.

Each rule is a function from one source file to the sentences that say where it is broken. Every
rule is run twice: over the whole repository, where it must find nothing, and over snippets that
break it, where it must find something, so that no rule passes by looking at nothing.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splicedvae._core import errors, keys

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "splicedvae"
MAX_FILE_BYTES = 2 * 1024 * 1024

CONTAINERS = {"obs", "var", "layers", "obsm", "varm", "obsp", "varp", "uns"}
KEYS = {
    value
    for holder in vars(keys).values()
    if inspect.isclass(holder)
    for name, value in vars(holder).items()
    if isinstance(value, str) and name.isupper()
}
COMPUTE = {
    "anndata",
    "lightning",
    "scanpy",
    "scvelo",
    "scvi",
    "sklearn",
    "streamlit",
    "torch",
    "umap",
}
PICKLES = {"_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
PICKLE_CALLS = {
    "joblib.load",
    "pandas.read_pickle",
    "pd.read_pickle",
    "torch.load",
    "yaml.load",
    "yaml.unsafe_load",
}


# --- Reading the table of rooms -----------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Room:
    """One line of the table in docs/architecture.md."""

    neighbours: frozenset[str]
    names: frozenset[str]


def rooms_in(document: str) -> dict[str, Room]:
    """The rooms of a document's table: what each may import, and the public names it lists."""
    rows: dict[str, list[str]] = {}
    for line in document.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        match = re.fullmatch(r"`splicedvae\.([a-z]+)`", cells[0]) if len(cells) == 4 else None
        if match:
            rows[match[1]] = cells
    rooms: dict[str, Room] = {}
    for name, (_, _, may_import, public) in rows.items():
        above = set(rooms)
        words = set(re.findall(r"[a-z]+", may_import))
        neighbours = above if may_import == "all above" else words & set(rows)
        rooms[name] = Room(frozenset(neighbours), frozenset(re.findall(r"`(\w+)`", public)))
    return rooms


ROOMS = rooms_in((REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8"))


# --- Reading the code ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Source:
    """One Python file: where it stands in the repository, and its syntax tree."""

    path: str
    tree: ast.Module

    @classmethod
    def of(cls, path: str, text: str) -> Source:
        return cls(path, ast.parse(text, path))

    @property
    def room(self) -> str | None:
        """The subpackage or public module of splicedvae that the file belongs to."""
        parts = Path(self.path).with_suffix("").parts
        if parts[0] != "splicedvae" or parts[1].startswith("_"):
            return None
        return parts[1]

    @property
    def is_page(self) -> bool:
        return self.path == "app.py" or self.path.startswith("pages/")

    def at(self, node: ast.AST, sentence: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {sentence}"


def all_sources() -> list[Source]:
    """Every file a user runs or imports."""
    files = [*PACKAGE.rglob("*.py"), *(REPOSITORY / "pages").rglob("*.py")]
    if (REPOSITORY / "app.py").exists():
        files.append(REPOSITORY / "app.py")
    return [
        Source.of(str(file.relative_to(REPOSITORY)), file.read_text(encoding="utf-8"))
        for file in sorted(files)
    ]


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a chain of attributes, empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def imports(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Every module named in an import, wherever it stands, or handed to import_module."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                package = Path(source.path).parts[: -node.level]
                module = ".".join([*package, *([module] if module else [])])
            yield node, module
            for alias in node.names:
                yield node, f"{module}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args:
            called = dotted(node.func).rpartition(".")[2]
            first = node.args[0]
            if called in {"import_module", "__import__"} and isinstance(first, ast.Constant):
                yield node, str(first.value)


# --- Rules --------------------------------------------------------------------------------------


def only_the_dashboard_imports_streamlit(source: Source) -> list[str]:
    if source.is_page or source.room == "dashboard":
        return []
    return [
        source.at(node, "imports streamlit outside app.py, pages/ and splicedvae.dashboard")
        for node, name in imports(source)
        if name == "streamlit"
    ]


def plotting_imports_nothing_that_computes(source: Source) -> list[str]:
    if source.room != "plotting":
        return []
    return sorted(
        {
            source.at(node, f"plotting imports {name.partition('.')[0]}")
            for node, name in imports(source)
            if name.partition(".")[0] in COMPUTE
        }
    )


def rooms_import_only_their_neighbours(source: Source) -> list[str]:
    if source.room not in ROOMS:
        return []
    allowed = ROOMS[source.room].neighbours | {source.room}
    found = []
    for node, name in imports(source):
        parts = name.split(".")
        if parts[0] != "splicedvae" or len(parts) < 2 or parts[1].startswith("_"):
            continue
        room = parts[1]
        if (PACKAGE / room).exists() or (PACKAGE / f"{room}.py").exists():
            if room not in allowed:
                found.append(source.at(node, f"{source.room} imports from splicedvae.{room}"))
        else:
            found.append(source.at(node, f"{source.room} imports {room} from the whole package"))
    return sorted(set(found))


def private_modules_stay_in_their_package(source: Source) -> list[str]:
    """Packages meet at public names and plainly named modules."""
    own = source.room
    if own is None and Path(source.path).parts[:2] == ("splicedvae", "_core"):
        own = "_core"
    found = []
    for node, name in imports(source):
        parts = name.split(".")
        if parts[0] != "splicedvae" or len(parts) < 3 or parts[1] in {own, "_core"}:
            continue
        if any(part.startswith("_") and not part.startswith("__") for part in parts[2:]):
            found.append(source.at(node, f"imports {name}, which is private to {parts[1]}"))
    return sorted(set(found))


def the_core_imports_nothing_above_it(source: Source) -> list[str]:
    if Path(source.path).parts[:2] != ("splicedvae", "_core"):
        return []
    return [
        source.at(node, f"_core imports {name}")
        for node, name in imports(source)
        if name.startswith("splicedvae.") and name.split(".")[1] != "_core"
    ]


def _names_a_container(node: ast.AST) -> bool:
    """Whether an expression is ``x.obs``, ``file["obs"]``, or an entry of one of these."""
    while isinstance(node, ast.Subscript):
        inner = node.slice
        if isinstance(inner, ast.Constant) and inner.value in CONTAINERS:
            return True
        node = node.value
    return isinstance(node, ast.Attribute) and node.attr in CONTAINERS


def _constants(node: ast.AST) -> Iterator[ast.Constant]:
    if isinstance(node, ast.Constant):
        yield node
    elif isinstance(node, ast.Tuple | ast.List):
        for element in node.elts:
            yield from _constants(element)


def keys_are_spelled_in_one_place(source: Source) -> list[str]:
    if source.path == "splicedvae/_core/keys.py":
        return []
    literals: list[ast.Constant] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Subscript) and _names_a_container(node.value):
            literals += _constants(node.slice)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"get", "pop", "setdefault"}
            and _names_a_container(node.func.value)
            and node.args
        ):
            literals += _constants(node.args[0])
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
                if isinstance(operator, ast.In | ast.NotIn) and _names_a_container(right):
                    literals += _constants(left)
    return [
        source.at(literal, f'the key "{literal.value}" is spelled out: name it through _core.keys')
        for literal in literals
        if literal.value in KEYS
    ]


def nothing_loads_a_pickle(source: Source) -> list[str]:
    found = [
        source.at(node, f"imports {name}, which loads pickles")
        for node, name in imports(source)
        if name.partition(".")[0] in PICKLES
    ]
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        if called in PICKLE_CALLS:
            found.append(source.at(node, f"calls {called}, which can run what a file says"))
        for keyword in node.keywords:
            if keyword.arg == "allow_pickle" and not (
                isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            ):
                found.append(source.at(node, "passes allow_pickle, which is not False"))
    return found


def nothing_evaluates_text(source: Source) -> list[str]:
    return [
        source.at(node, f"calls {node.func.id}")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"eval", "exec", "compile"}
    ]


def _catches_all(types: ast.AST) -> bool:
    names = {dotted(node).rpartition(".")[2] for node in ast.walk(types)}
    return bool(names & {"Exception", "BaseException"})


def no_error_is_swallowed(source: Source) -> list[str]:
    """Catching everything is for those who raise something more precise from it."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                found.append(source.at(node, "bare except"))
            elif _catches_all(node.type) and not isinstance(node.body[-1], ast.Raise):
                found.append(source.at(node, "catches every error and does not raise"))
        elif (
            isinstance(node, ast.Call)
            and dotted(node.func).rpartition(".")[2] == "suppress"
            and any(_catches_all(argument) for argument in node.args)
        ):
            found.append(source.at(node, "suppresses every error"))
    return found


def modules_say_why_they_exist(source: Source) -> list[str]:
    if ast.get_docstring(source.tree):
        return []
    return [source.at(source.tree, "has no docstring that says why it exists")]


def pages_stand_in_sections(source: Source) -> list[str]:
    """Streamlit runs scripts that lie directly in pages/ without app.py."""
    parts = Path(source.path).parts
    if parts[0] != "pages" or len(parts) == 3:
        return []
    return [source.at(source.tree, "a page stands at pages/<section>/<page>.py")]


def no_logic_reads_a_sentence(source: Source) -> list[str]:
    """Words are for people: a program asks a note for its code, and a result for its fields."""
    found = []
    for node in ast.walk(source.tree):
        words: list[ast.Constant] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
                literal = isinstance(right, ast.Tuple | ast.List | ast.Set | ast.Dict)
                if isinstance(operator, ast.In | ast.NotIn) and not literal:
                    words += _constants(left)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"startswith", "endswith"}
            and node.args
        ):
            words += _constants(node.args[0])
        found += [
            source.at(word, f"looks for the words {word.value!r} in a text: give it a code")
            for word in words
            if isinstance(word.value, str) and re.search(r"[a-z] [a-z]", word.value.strip())
        ]
    return found


def files_are_put_in_place_by_one_function(source: Source) -> list[str]:
    if source.path == "splicedvae/_core/files.py":
        return []
    return [
        source.at(node, "calls os.replace: write through splicedvae._core.files")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and dotted(node.func) == "os.replace"
    ]


Rule = Callable[[Source], list[str]]
RULES: list[Rule] = [
    only_the_dashboard_imports_streamlit,
    plotting_imports_nothing_that_computes,
    rooms_import_only_their_neighbours,
    private_modules_stay_in_their_package,
    the_core_imports_nothing_above_it,
    keys_are_spelled_in_one_place,
    nothing_loads_a_pickle,
    nothing_evaluates_text,
    no_error_is_swallowed,
    modules_say_why_they_exist,
    no_logic_reads_a_sentence,
    files_are_put_in_place_by_one_function,
    pages_stand_in_sections,
]


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return all_sources()


def test_every_file_is_read(sources: list[Source]) -> None:
    paths = {source.path for source in sources}
    assert {
        "splicedvae/__init__.py",
        "splicedvae/_core/keys.py",
        "splicedvae/_core/errors.py",
    } <= paths
    assert {"spliced", "X_umap", "clusters", "splicedvae"} <= KEYS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_repository_keeps(rule: Rule, sources: list[Source]) -> None:
    broken = [sentence for source in sources for sentence in rule(source)]
    assert not broken, "\n" + "\n".join(broken)


BREAKS: list[tuple[Rule, str, str]] = [
    (
        only_the_dashboard_imports_streamlit,
        "splicedvae/pipeline/worker.py",
        "import streamlit as st",
    ),
    (
        only_the_dashboard_imports_streamlit,
        "splicedvae/io/_read.py",
        "def f():\n    from streamlit import cache_data",
    ),
    (
        only_the_dashboard_imports_streamlit,
        "splicedvae/cli/_app.py",
        "import importlib\nimportlib.import_module('streamlit')",
    ),
    (plotting_imports_nothing_that_computes, "splicedvae/plotting/_x.py", "import torch.nn"),
    (
        plotting_imports_nothing_that_computes,
        "splicedvae/plotting/_x.py",
        "from scvelo.tools import velocity_graph",
    ),
    (
        rooms_import_only_their_neighbours,
        "splicedvae/io/_read.py",
        "from splicedvae.model import SplicedVAE",
    ),
    (
        rooms_import_only_their_neighbours,
        "splicedvae/io/_read.py",
        "from splicedvae import SplicedVAE",
    ),
    (
        rooms_import_only_their_neighbours,
        "splicedvae/module/_head.py",
        "from ..datasets import simulate",
    ),
    (keys_are_spelled_in_one_place, "app.py", "a.layers['spliced']"),
    (keys_are_spelled_in_one_place, "app.py", "del a.obs['clusters']"),
    (keys_are_spelled_in_one_place, "app.py", "a.obs[['x', 'clusters']]"),
    (keys_are_spelled_in_one_place, "app.py", "a.uns['x']['predicted'] = 1"),
    (keys_are_spelled_in_one_place, "app.py", "h5['layers']['unspliced']"),
    (keys_are_spelled_in_one_place, "app.py", "a.obsm.get('X_umap')"),
    (keys_are_spelled_in_one_place, "app.py", "ok = 'velocity' not in a.layers"),
    (nothing_loads_a_pickle, "app.py", "import pickle"),
    (nothing_loads_a_pickle, "app.py", "from joblib import load"),
    (nothing_loads_a_pickle, "app.py", "torch.load(path, weights_only=True)"),
    (nothing_loads_a_pickle, "app.py", "np.load(path, allow_pickle=True)"),
    (nothing_loads_a_pickle, "app.py", "np.load(path, allow_pickle=flag)"),
    (
        private_modules_stay_in_their_package,
        "splicedvae/cli/_x.py",
        "from splicedvae.io._read import assemble",
    ),
    (
        private_modules_stay_in_their_package,
        "pages/data/inspect.py",
        "def f():\n    from splicedvae.runs import _files",
    ),
    (
        the_core_imports_nothing_above_it,
        "splicedvae/_core/notes.py",
        "from splicedvae.io import read",
    ),
    (nothing_evaluates_text, "app.py", "eval(text)"),
    (nothing_evaluates_text, "app.py", "def f():\n    exec(text)"),
    (no_error_is_swallowed, "app.py", "try:\n    f()\nexcept:\n    raise"),
    (no_error_is_swallowed, "app.py", "try:\n    f()\nexcept Exception:\n    pass"),
    (
        no_error_is_swallowed,
        "app.py",
        "try:\n    f()\nexcept (OSError, Exception) as e:\n    g(e)",
    ),
    (no_error_is_swallowed, "app.py", "with contextlib.suppress(Exception):\n    f()"),
    (modules_say_why_they_exist, "splicedvae/io/_x.py", "X = 1"),
    (pages_stand_in_sections, "pages/compare.py", "X = 1"),
    (pages_stand_in_sections, "pages/results/more/compare.py", "X = 1"),
    (files_are_put_in_place_by_one_function, "splicedvae/io/_x.py", "os.replace(a, b)"),
    (no_logic_reads_a_sentence, "splicedvae/io/_x.py", "ok = 'are duplicates' in note"),
    (no_logic_reads_a_sentence, "splicedvae/io/_x.py", "ok = 'no layers' not in str(note)"),
    (no_logic_reads_a_sentence, "splicedvae/io/_x.py", "ok = note.startswith('do not trust')"),
    (no_logic_reads_a_sentence, "splicedvae/io/_x.py", "ok = note.endswith(('x', 'more noise'))"),
]
KEEPS: list[tuple[Rule, str, str]] = [
    (no_logic_reads_a_sentence, "splicedvae/io/_x.py", "ok = name in ('a row', 'a column')"),
    (no_logic_reads_a_sentence, "splicedvae/io/_x.py", "ok = name.startswith('velocity_')"),
    (no_logic_reads_a_sentence, "splicedvae/io/_x.py", "ok = 'spliced' in adata"),
    (only_the_dashboard_imports_streamlit, "pages/data/file.py", "import streamlit as st"),
    (only_the_dashboard_imports_streamlit, "splicedvae/dashboard/_x.py", "import streamlit as st"),
    (plotting_imports_nothing_that_computes, "splicedvae/velocity/_x.py", "import scvelo"),
    (
        rooms_import_only_their_neighbours,
        "splicedvae/model/_model.py",
        "from splicedvae._core.keys import Obs\nfrom splicedvae.module import RatioHead",
    ),
    (
        private_modules_stay_in_their_package,
        "splicedvae/io/_x.py",
        "from splicedvae._core.keys import Obs\nfrom splicedvae.io.formats import _zarr",
    ),
    (
        the_core_imports_nothing_above_it,
        "splicedvae/_core/x.py",
        "from splicedvae._core import keys",
    ),
    (keys_are_spelled_in_one_place, "app.py", "a.layers[Layers.SPLICED]; a.obs['mine']"),
    (keys_are_spelled_in_one_place, "app.py", "labels['spliced']"),
    (nothing_loads_a_pickle, "app.py", "np.load(path, allow_pickle=False)"),
    (nothing_evaluates_text, "app.py", "model.eval()"),
    (
        no_error_is_swallowed,
        "app.py",
        "try:\n    f()\nexcept Exception as e:\n    raise DataError('x') from e",
    ),
    (no_error_is_swallowed, "app.py", "try:\n    f()\nexcept (OSError, KeyError):\n    pass"),
    (modules_say_why_they_exist, "splicedvae/io/_x.py", '"""Reads."""'),
    (pages_stand_in_sections, "pages/results/compare.py", "X = 1"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BREAKS)
def test_rule_finds(rule: Rule, path: str, text: str) -> None:
    found = rule(Source.of(path, text))
    assert found
    assert all(sentence.startswith(f"{path}:") for sentence in found)


@pytest.mark.parametrize(("rule", "path", "text"), KEEPS)
def test_rule_allows(rule: Rule, path: str, text: str) -> None:
    assert rule(Source.of(path, text)) == []


def test_each_rule_is_seen_to_fail() -> None:
    assert {rule for rule, _, _ in BREAKS} == set(RULES)


# --- What an import brings along ----------------------------------------------------------------


def loaded_by(module: str) -> set[str]:
    """Top-level packages in a new interpreter that has imported a module, and nothing else."""
    program = (
        f"import json, sys, {module}; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def exists(module: str) -> bool:
    parts = module.split(".")
    return all(
        importlib.util.find_spec(".".join(parts[:n])) is not None for n in range(1, len(parts) + 1)
    )


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("splicedvae", {"streamlit", "torch", "scvi", "scanpy", "scvelo"}),
        ("splicedvae.plotting", COMPUTE),
        ("splicedvae.cli", {"streamlit", "torch", "scvi", "scvelo"}),
        ("splicedvae.pipeline.worker", {"streamlit"}),
    ],
)
def test_import_stays_light(module: str, absent: set[str]) -> None:
    if not exists(module):
        pytest.skip(f"{module} is not there yet")
    assert not loaded_by(module) & absent


def test_loaded_by_sees_what_is_imported() -> None:
    assert "streamlit" in loaded_by("streamlit")


# --- Docstrings ---------------------------------------------------------------------------------

SECTIONS = (
    "Parameters",
    "Attributes",
    "Returns",
    "Yields",
    "Raises",
    "Notes",
    "Examples",
    "References",
    "See Also",
    "Warns",
    "Other Parameters",
)


def sections(docstring: str) -> dict[str, list[str]]:
    """The lines under each heading of a numpydoc docstring; the text before them under ''."""
    lines = inspect.cleandoc(docstring).splitlines()
    parts: dict[str, list[str]] = {"": []}
    heading = ""
    skip = False
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if skip:
            skip = False
        elif line in SECTIONS and set(after) == {"-"}:
            heading = line
            parts[heading] = []
            skip = True
        else:
            parts[heading].append(line)
    return parts


def entries(lines: list[str]) -> list[str]:
    """The unindented lines of a section: the names it documents."""
    return [line for line in lines if line and not line.startswith(" ")]


def documented(parts: dict[str, list[str]], *headings: str) -> set[str]:
    return {
        name.strip().lstrip("*")
        for heading in headings
        for entry in entries(parts.get(heading, []))
        for name in entry.partition(" : ")[0].split(",")
    }


def parameters_of(thing: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(thing).parameters if name not in {"self", "cls"}]


def own_errors(function: Callable[..., Any]) -> set[str]:
    """Names of the package's errors that the body of a function raises itself."""
    try:
        tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(inspect.unwrap(function))))
    except (OSError, TypeError, SyntaxError):
        return set()
    kinds = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    raised = (node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc)
    return {
        dotted(error.func if isinstance(error, ast.Call) else error) for error in raised
    } & kinds


def commented_fields(cls: type) -> set[str]:
    """Fields of a class explained where they stand: by a ``#:`` above or a string below."""
    text = textwrap.dedent(inspect.getsource(cls))
    definition = ast.parse(text).body[0]
    assert isinstance(definition, ast.ClassDef)
    lines = text.splitlines()
    explained = set()
    for node, after in zip(definition.body, [*definition.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            above = lines[node.lineno - 2].strip().startswith("#:")
            below = (
                isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            )
            if above or below:
                explained.add(node.target.id)
    return explained


def array_fields(cls: type) -> list[str]:
    """Fields of a class that hold arrays or tables: a name alone does not tell their shape."""
    annotations = inspect.get_annotations(cls)
    return [
        name
        for name, annotation in annotations.items()
        if re.search(r"Array|ndarray|DataFrame|Series|sparse|cs[rc]_", str(annotation))
    ]


def docstring_faults(name: str, thing: Any) -> list[str]:
    """What a public function's or class's docstring lacks; nothing for other values."""
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return []
    own = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    if not own or not own.strip():
        return [f"{name} has no docstring"]
    parts = sections(own)
    faults = []
    summary = inspect.cleandoc(own).splitlines()[0]
    if not summary.endswith((".", ":", "?")) and len(inspect.cleandoc(own).splitlines()) == 1:
        faults.append(f"{name}: the summary is no sentence")
    typed = [e for e in entries(parts.get("Parameters", [])) if re.search(r"\w\s*:\s*\w", e)]
    faults += [f"{name}: a type stands in the docstring line '{entry}'" for entry in typed]

    if inspect.isclass(thing):
        if issubclass(thing, BaseException) or getattr(thing, "_is_protocol", False):
            return faults
        known = documented(parts, "Parameters", "Attributes", "Other Parameters")
        if dataclasses.is_dataclass(thing) or hasattr(thing, "_fields"):
            known |= commented_fields(thing)
            expected = array_fields(thing)
        elif "__init__" in vars(thing):
            expected = parameters_of(thing.__init__)
        else:
            expected = []
    else:
        expected = parameters_of(thing)
        known = documented(parts, "Parameters", "Other Parameters")
        stale = known - set(expected)
        faults += [f"{name}: documents '{extra}', which it does not take" for extra in stale]
        told = documented(parts, "Raises")
        faults += [
            f"{name}: raises {error} and does not say so"
            for error in sorted(own_errors(thing) - told)
        ]
    faults += [f"{name}: the parameter '{p}' is not explained" for p in expected if p not in known]
    return faults


def public_things() -> Iterator[tuple[str, Any]]:
    """What every room exports, and the public methods of its classes that this package defines."""
    rooms = sorted(
        {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
        | {path.stem for path in PACKAGE.glob("[a-z]*.py")}
    )
    for room in rooms:
        module = importlib.import_module(f"splicedvae.{room}")
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            yield f"{room}.{name}", thing
            if inspect.isclass(thing) and thing.__module__.startswith("splicedvae"):
                own = [cls for cls in thing.__mro__ if cls.__module__.startswith("splicedvae")]
                members = {
                    name: value for cls in reversed(own) for name, value in vars(cls).items()
                }
                for attribute, value in members.items():
                    if attribute.startswith("_"):
                        continue
                    if isinstance(value, classmethod | staticmethod):
                        value = value.__func__
                    if isinstance(value, property):
                        value = value.fget
                    if inspect.isfunction(value) and value.__name__ == attribute:
                        yield f"{room}.{name}.{attribute}", value


def test_public_names_are_explained() -> None:
    things = dict(public_things())
    assert {"plotting.streams", "model.SplicedVAE", "model.SplicedVAE.train"} <= set(things)
    faults = [fault for name, thing in things.items() for fault in docstring_faults(name, thing)]
    assert not faults, "\n" + "\n".join(faults)


def explained(counts: int, ratio: float = 0.5) -> int:
    """Explain everything.

    Parameters
    ----------
    counts
        Total counts.
    ratio
        Spliced fraction, between 0 and 1.

    Raises
    ------
    DataError
        If there are none.
    """
    if not counts:
        raise errors.DataError("There are no counts.")
    return int(counts * ratio)


def test_docstring_check_allows_what_is_explained() -> None:
    assert docstring_faults("explained", explained) == []


@dataclasses.dataclass
class Commented:
    """Explain fields where they stand."""

    size: int
    #: Total count of each cell, shape (n_cells,).
    depth: np.ndarray
    genes: np.ndarray
    """Genes found in each cell, shape (n_cells,)."""


def test_docstring_check_reads_comments_of_fields() -> None:
    assert docstring_faults("commented", Commented) == []


def _silent(counts: int) -> int:
    return counts


def _unexplained(counts: int) -> int:
    """Count."""
    return counts


def _typed(counts: int) -> int:
    """Count.

    Parameters
    ----------
    counts : int
        Total counts.
    """
    return counts


def _stale(counts: int) -> int:
    """Count.

    Parameters
    ----------
    counts
        Total counts.
    size
        Gone.
    """
    return counts


def _raising() -> None:
    """Count."""
    raise DataError("There are no counts.")


@dataclasses.dataclass
class _Bare:
    """Depth of each cell."""

    depth: np.ndarray


DataError = errors.DataError


@pytest.mark.parametrize(
    ("thing", "fault"),
    [
        (_silent, "has no docstring"),
        (_unexplained, "'counts' is not explained"),
        (_typed, "a type stands in"),
        (_stale, "documents 'size'"),
        (_raising, "raises DataError and does not say so"),
        (_Bare, "'depth' is not explained"),
    ],
)
def test_docstring_check_finds(thing: Any, fault: str) -> None:
    assert any(fault in found for found in docstring_faults("x", thing))


# --- docs/architecture.md is true ---------------------------------------------------------------


def test_architecture_names_every_room_and_only_names_that_exist() -> None:
    assert len(ROOMS) >= 8
    there = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"_core"}
    assert there <= set(ROOMS), f"not in the table: {sorted(there - set(ROOMS))}"
    missing = {}
    for room in sorted(set(ROOMS) & there):
        exported = set(getattr(importlib.import_module(f"splicedvae.{room}"), "__all__", ()))
        if absent := ROOMS[room].names - exported:
            missing[room] = sorted(absent)
    assert not missing


def test_table_of_rooms_is_read() -> None:
    table = """
| `splicedvae.io` | reads | keys | `read`, `inspect`, ... |
| `splicedvae.datasets` | simulates | keys, errors, io | `simulate` |
| `splicedvae.runs` | runs | all above | |
"""
    assert rooms_in(table) == {
        "io": Room(frozenset(), frozenset({"read", "inspect"})),
        "datasets": Room(frozenset({"io"}), frozenset({"simulate"})),
        "runs": Room(frozenset({"io", "datasets"}), frozenset()),
    }


# --- What is committed --------------------------------------------------------------------------

#: Absolute paths into somebody's machine: a home folder, or a mounted work tree.
MACHINE_PATH = re.compile(rb"(?<![\w.~$}>])/(?:root|home|Users|work|mnt)/[\w.-]")


def committed_files() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("this is no git work tree, so what is committed cannot be told")
    files = [REPOSITORY / name for name in done.stdout.decode().split("\0") if name]
    return [file for file in files if file.is_file()]


def machine_paths(content: bytes) -> list[str]:
    return [match.group().decode() for match in MACHINE_PATH.finditer(content)]


def test_no_machine_path_is_committed() -> None:
    found = {
        str(file.relative_to(REPOSITORY)): machine_paths(content)
        for file in committed_files()
        if b"\0" not in (content := file.read_bytes())[:8000] and machine_paths(content)
    }
    assert not found


@pytest.mark.parametrize("folder", ["root", "home", "work", "Users"])
def test_machine_path_is_found(folder: str) -> None:
    assert machine_paths(f"see /{folder}/somebody/data".encode())
    assert machine_paths(f'"/{folder}/x"'.encode())
    assert not machine_paths(f"https://example.org/{folder}/x and ../{folder}/x".encode())


def test_no_large_file_is_committed() -> None:
    files = committed_files()
    assert files
    large = [str(file) for file in files if file.stat().st_size > MAX_FILE_BYTES]
    assert not large


@pytest.mark.real_data
def test_no_real_counts_are_committed(real_data: Path) -> None:
    theirs = {file.stat().st_size: file for file in real_data.iterdir() if file.is_file()}
    copies = [
        str(file)
        for file in committed_files()
        if file.stat().st_size in theirs
        and file.read_bytes() == theirs[file.stat().st_size].read_bytes()
    ]
    assert not copies
