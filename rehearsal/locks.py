"""A lock between processes, kept by the operating system: it ends with the process that holds it, however that ends."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Generator
from pathlib import Path


@contextlib.contextmanager
def exclusive(path: Path, waiting: Callable[[str], object] = lambda _: None) -> Generator[None]:
    """Hold the lock file for the time of a `with` block; its folder is made, private, if it is missing.

    `waiting` is called once with the other process's id if another process holds the lock; what it raises ends the
    wait.
    """
    while True:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                waiting(file.read().strip())
                fcntl.flock(file, fcntl.LOCK_EX)
            if _still_there(path, file.fileno()):
                file.truncate(0)
                file.write(f"{os.getpid()}\n")
                file.flush()
                yield
                return


def _still_there(path: Path, handle: int) -> bool:
    """Whoever held the lock before may have deleted the folder, and the lock file with it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
