"""What the source of a module tells about where it runs: text files, and names of some systems."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


ABSENT_ON_WINDOWS: dict[str, frozenset[str]] = {
    "os": _names(
        "chown chroot copy_file_range eventfd fchdir fchmod fchown fdatasync fork forkpty fpathconf"
        " fstatvfs getegid geteuid getgid getgroups getloadavg getpgid getpgrp getpriority"
        " getresgid getresuid getsid getuid getxattr killpg lchown lockf major makedev"
        " memfd_create minor mkfifo mknod nice openpty pathconf pidfd_open pipe2 posix_fadvise"
        " posix_fallocate posix_openpt posix_spawn posix_spawnp pread preadv pwrite pwritev"
        " register_at_fork sched_getaffinity sched_setaffinity sched_yield sendfile setegid"
        " seteuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid"
        " setsid setuid setxattr splice statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname uname"
        " unshare wait wait3 wait4 waitid O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_NOATIME"
        " O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC O_TMPFILE SEEK_DATA SEEK_HOLE WCONTINUED"
        " WEXITSTATUS WIFEXITED WIFSIGNALED WNOHANG WTERMSIG WUNTRACED"
        " POSIX_FADV_DONTNEED POSIX_FADV_RANDOM POSIX_FADV_SEQUENTIAL POSIX_FADV_WILLNEED"
    ),
    "signal": _names(
        "ITIMER_REAL SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPROF SIGQUIT"
        " SIGSTOP SIGSYS SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH"
        " SIGXCPU SIGXFSZ alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt"
        " sigpending sigtimedwait sigwait sigwaitinfo"
    ),
    "select": _names("devpoll epoll kevent kqueue poll"),
    "mmap": _names(
        "MADV_DONTNEED MADV_NORMAL MADV_RANDOM MADV_SEQUENTIAL MADV_WILLNEED MAP_ANON MAP_ANONYMOUS"
        " MAP_PRIVATE MAP_SHARED PROT_EXEC PROT_READ PROT_WRITE"
    ),
    "time": _names("clock_gettime clock_settime pthread_getcpuclockid tzset"),
    "socket": _names("AF_UNIX CMSG_LEN"),
}
"""Names in modules of the standard library that Windows lacks, as the library's manual has them."""

MODULES_OF_POSIX = _names("fcntl grp posix pty pwd readline resource syslog termios tty")

_ALWAYS_TEXT = {"read_text", "write_text"}
_OPENERS = {"open", "fdopen"}


def modules(*folders: str) -> dict[str, Path]:
    """Every module below these folders of the checkout, by its path there."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return {path.relative_to(ROOT).as_posix(): path for path in sorted(found)}


def unsaid_encodings(source: str) -> list[str]:
    """Calls that leave the encoding of a text, or the line ends it is written with, to the system.

    They are: ``open`` and ``fdopen`` in text mode, ``read_text`` and ``write_text``, and
    processes whose output is asked for as text.
    """
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [f"line {call.lineno}: {fault}" for call in calls if (fault := _text_fault(call))]


def _text_fault(call: ast.Call) -> str | None:
    given = {keyword.arg for keyword in call.keywords}
    name = _called(call.func)
    if name is None or None in given:
        return None
    if {"text", "universal_newlines"} & given:
        return None if "encoding" in given else f"{name} reads text without an encoding"
    mode = _text_mode(call, name)
    if mode is None:
        return None
    if "encoding" not in given:
        return f"{name} has no encoding"
    if set(mode) & set("wax+") and "newline" not in given:
        return f"{name} has no newline"
    return None


def _called(function: ast.expr) -> str | None:
    if isinstance(function, ast.Name):
        return function.id if function.id == "open" else None
    return function.attr if isinstance(function, ast.Attribute) else None


def _text_mode(call: ast.Call, name: str) -> str | None:
    """The mode of a call that opens a text, ``?`` where it is worked out; None for other calls."""
    if name in _ALWAYS_TEXT:
        return name[0]
    if name not in _OPENERS:
        return None
    is_method = isinstance(call.func, ast.Attribute) and name == "open"
    if is_method and ast.unparse(call.func) == "os.open":
        return None
    mode = _argument(call, 0 if is_method else 1)
    if mode is None:
        return "r"
    if isinstance(mode, ast.Constant) and isinstance(mode.value, str):
        return None if "b" in mode.value else mode.value
    return None if is_method else "?"  # archive.open(member), files.open(location)


def _argument(call: ast.Call, position: int) -> ast.expr | None:
    """The mode of an opening call."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    placed = call.args[position : position + 1]
    return next(iter(named + placed), None)


def unguarded(source: str) -> list[str]:
    """Names that Windows lacks, used where nobody asks whether they are there.

    A guard is ``hasattr(module, ..)`` anywhere in the function, or ``getattr`` with a default,
    which is no use by this name at all.
    """
    tree = ast.parse(source)
    return sorted({*_imports_of_posix(tree), *_uses(tree, frozenset())})


def _imports_of_posix(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES_OF_POSIX)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            absent = ABSENT_ON_WINDOWS.get(node.module, frozenset[str]())
            yield from (f"{node.module}.{a.name}" for a in node.names if a.name in absent)
            if node.module in MODULES_OF_POSIX:
                yield node.module


def _uses(node: ast.AST, guarded: frozenset[str]) -> Iterator[str]:
    """Uses of absent names below a node, in modules that no function around asks about."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        guarded |= _asked_about(node)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        module = node.value.id
        if node.attr in ABSENT_ON_WINDOWS.get(module, frozenset()) and module not in guarded:
            yield f"{module}.{node.attr}"
    for child in ast.iter_child_nodes(node):
        yield from _uses(child, guarded)


def _asked_about(function: ast.AST) -> frozenset[str]:
    """Modules that are arguments of ``hasattr`` in a function."""
    return frozenset(
        node.args[0].id
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "hasattr"
        and isinstance(node.args[0], ast.Name)
    )
