"""The lock of a runs folder: one holder, others wait, and a killed holder leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from splicedvae.runs.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from splicedvae.runs.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(folder: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that has the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_another_process_is_waited_for(tmp_path: Path) -> None:
    with holder(tmp_path, 1.5) as process:
        start = time.monotonic()
        with locked(tmp_path):
            assert process.wait(10) == 0, "the lock was had while another process held it"
        assert time.monotonic() - start > 0.5


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path, 600) as process:
        process.kill()
        process.wait()
    done = threading.Event()

    def take() -> None:
        with locked(tmp_path):
            done.set()

    threading.Thread(target=take, daemon=True).start()
    assert done.wait(10)


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with locked(tmp_path):
                with guard:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.002)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == 1


def test_the_folder_is_made_and_an_error_frees_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "runs"
    with pytest.raises(ZeroDivisionError), locked(folder):
        _ = 1 / 0
    with locked(folder):
        assert folder.is_dir()
