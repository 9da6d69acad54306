"""Files that are there whole or not at all, whatever kills the writer."""

import contextlib
import os
import secrets
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, a crash or a full disk never shows half of it.

    A temporary file in the same folder (a rename across devices is a copy) is filled, flushed to
    the disk and renamed over the target; then the folder is flushed, which makes the rename last.

    Raises:
        OSError: the folder cannot be written to, or is full; what was there before is untouched.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            temporary.unlink()
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make the renames and removals in a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_writable(folder: Path) -> None:
    """Create a folder where needed and prove by writing a file that it can be written to.

    Raises:
        OSError: it cannot, with the system's reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe-{secrets.token_hex(4)}"
    write_atomically(probe, b"probe")
    probe.unlink()
