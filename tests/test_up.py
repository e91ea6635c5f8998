"""What `monitor up` starts does not outlive it, however it dies."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

_PARENT = """
import subprocess
from monitor.commands.run import ends_with_us
child = subprocess.Popen(["sleep", "600"], preexec_fn=ends_with_us())
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_a_child_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    try:
        parent.kill()
        parent.wait(30)
        child.wait(30)
    finally:
        with suppress(psutil.NoSuchProcess):
            child.kill()
