"""The style of the house, as far as a machine can tell: docstrings, sizes, names, boundaries."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = [
    ROOT / "celeryconfig.py",
    *(p for name in ("superhero", "tasks", "sinks") for p in (ROOT / name).rglob("*.py")),
]
EVERYTHING = [*PRODUCT, *(ROOT / "tests").rglob("*.py")]
LONGEST_MODULE, LONGEST_TEST_MODULE = 300, 500
NAMES_THAT_SAY_NOTHING = {
    "utils",
    "util",
    "misc",
    "helpers",
    "helper",
    "manager",
    "common",
    "json",
    "logging",
    "redis",
    "celery",
}

# Settings are read in two places; the other two hand the environment on to processes they start.
MAY_TOUCH_THE_ENVIRONMENT = {
    "celeryconfig.py",
    "superhero/config.py",
    "superhero/ops/processes.py",
    "superhero/ops/rabbitmq.py",
}
# The boundaries at which anything that goes wrong is caught: a session, a task, the threads of publisher and
# heart.
BOUNDARIES = ("superhero/server/", "superhero/transport/", "superhero/pulse/heart.py", "tasks/")


def place(path: Path) -> str:
    """Return a path as it is written in the project."""
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def of_product() -> pytest.MarkDecorator:
    """Run a test for every module that is shipped."""
    return pytest.mark.parametrize("path", PRODUCT, ids=place)


def public_things(tree: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the public classes and functions of a module, and the public methods of its public classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
            yield node
            if isinstance(node, ast.ClassDef):
                methods = (
                    child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                )
                yield from (child for child in methods if child.name[0] != "_")


@pytest.mark.parametrize("path", EVERYTHING, ids=place)
def test_a_module_says_in_a_line_what_it_is_and_is_one_idea_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, f"{place(path)} has no docstring"
    assert docstring.splitlines()[0].rstrip().endswith((".", ":", "?")), "its first line is not a sentence"
    longest = LONGEST_MODULE if path in PRODUCT else LONGEST_TEST_MODULE
    lines = len(text.splitlines())
    assert lines <= longest, f"{place(path)} has {lines} lines, {longest} are enough for one idea"
    assert path.stem not in NAMES_THAT_SAY_NOTHING, f"{place(path)} is named like a library, or says nothing"


@of_product()
def test_everything_public_has_a_docstring(path: Path) -> None:
    without = [thing.name for thing in public_things(tree_of(path)) if not ast.get_docstring(thing)]
    assert not without, f"no docstring: {', '.join(without)}"


@of_product()
def test_errors_are_checked_for_by_raising_and_never_swallowed(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        where = f"{place(path)}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Assert), f"{where} asserts; raise an error that says what to do"
        assert not isinstance(node, ast.Pass), f"{where} passes over something"
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            reraises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            boundary = place(path).startswith(BOUNDARIES)
            assert caught not in {"everything", "Exception", "BaseException"} or reraises or boundary, (
                f"{where} catches {caught}, which only a session, a task and two threads may"
            )


@of_product()
def test_the_environment_is_read_in_two_places_only(path: Path) -> None:
    touches = {
        node.attr
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv", "os.environb"}
    }
    assert not touches or place(path) in MAY_TOUCH_THE_ENVIRONMENT, (
        f"{place(path)} touches os.{touches.pop()}"
    )


@of_product()
def test_keys_of_redis_are_built_in_one_place_only(path: Path) -> None:
    strings = [
        node.value
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    built = [text for text in strings if text.startswith(("games:", "users:"))]
    assert not built or place(path) == "superhero/keys.py", f"{built[0]!r} belongs into superhero/keys.py"
