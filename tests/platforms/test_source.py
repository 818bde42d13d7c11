"""The product's source leaves nothing to the system it runs on that it should say itself."""

import pytest

from tests.platforms.reading import modules, unguarded, unsaid_encodings

# Names that Windows lacks, and why they are not reached there.
ALLOWED: dict[str, dict[str, str]] = {
    "onnxstride/modelfile/guard.py": {
        "mmap.MAP_ANONYMOUS": "a bus error came, and Windows has none",
        "mmap.MAP_PRIVATE": "a bus error came, and Windows has none",
        "mmap.PROT_READ": "a bus error came, and Windows has none",
    },
    "onnxstride/verify/child.py": {"select.poll": "the caller asks for it"},
}


def test_text_has_an_encoding() -> None:
    """No text is read or written in whatever encoding and line ends the system prefers."""
    sources = modules("onnxstride", "rules", "models", ".ci")
    found = {name: unsaid_encodings(path.read_text("utf-8")) for name, path in sources.items()}
    assert len(found) > 200
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_what_windows_lacks_is_asked_for() -> None:
    """Each name that is missing on Windows stands behind a question, or behind a stated reason."""
    sources = modules("onnxstride", "rules")
    found = {name: unguarded(path.read_text("utf-8")) for name, path in sources.items()}
    assert {name: names for name, names in found.items() if names} == {
        name: sorted(reasons) for name, reasons in ALLOWED.items()
    }


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("open('a')", "open has no encoding"),
        ("open('a', mode)", "open has no encoding"),
        ("open('a', 'w', encoding='utf-8')", "open has no newline"),
        ("path.open()", "open has no encoding"),
        ("path.open('w', newline='')", "open has no encoding"),
        ("path.open(mode='a', encoding='utf-8')", "open has no newline"),
        ("os.fdopen(3, 'r')", "fdopen has no encoding"),
        ("path.read_text()", "read_text has no encoding"),
        ("path.write_text('x', encoding='utf-8')", "write_text has no newline"),
        ("subprocess.run(['x'], text=True)", "run reads text without an encoding"),
    ],
)
def test_a_text_left_to_the_system_is_seen(call: str, fault: str) -> None:
    """Each way of leaving the encoding or the line ends open is reported with its line."""
    assert unsaid_encodings(f"\n{call}\n") == [f"line 2: {fault}"]


@pytest.mark.parametrize(
    "call",
    [
        "open('a', 'rb')",
        "path.open('xb')",
        "os.open('a', os.O_RDONLY)",
        "os.fdopen(3, 'wb', buffering=0)",
        "archive.open(member)",
        "open('a', encoding='utf-8')",
        "path.write_text('x', encoding='utf-8', newline='\\n')",
        "subprocess.run(['x'], text=True, encoding='utf-8')",
        "subprocess.run(['x'], capture_output=True)",
    ],
)
def test_what_says_all_is_left_alone(call: str) -> None:
    """Binary files, and texts with encoding and line ends, are no faults."""
    assert unsaid_encodings(call) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import os\nos.fork()", ["os.fork"]),
        ("import os\nFLAGS = os.O_RDONLY | os.O_DIRECTORY", ["os.O_DIRECTORY"]),
        ("import fcntl", ["fcntl"]),
        ("def f():\n    from resource import getrusage", ["resource"]),
        ("from signal import SIGKILL", ["signal.SIGKILL"]),
        ("import signal\ndef f():\n    if hasattr(os, 'x'):\n        signal.SIGBUS",
         ["signal.SIGBUS"]),
        ("import os\ndef f():\n    hasattr(os, 'x')\ndef g():\n    os.fchmod(1, 2)", ["os.fchmod"]),
    ],
)  # fmt: skip
def test_a_use_without_a_guard_is_seen(source: str, found: list[str]) -> None:
    """Calls, constants and imports count; a question about another module is no guard."""
    assert unguarded(source) == found


@pytest.mark.parametrize(
    "source",
    [
        "import os\ndef f():\n    if hasattr(os, 'fchmod'):\n        os.fchmod(1, 2)",
        "import os\nFLAGS = getattr(os, 'O_NOFOLLOW', 0)",
        "import os\nos.replace('a', 'b')",
    ],
)
def test_a_use_behind_a_guard_is_left_alone(source: str) -> None:
    """Asking for the name in the same function, by either way, is a guard."""
    assert unguarded(source) == []
