"""Runs one command for as long as the process that asked for it lives. It needs nothing but Python itself.

    python local_kafka_watch.py PARENT_PID COMMAND [ARGUMENT ...]

It starts the command in its own process group, prints the command's pid on one line, and looks four times a
second whether it still has the same parent. The kernel gives an orphan another parent at once, however the
parent died, so this needs no help from the parent: it works from any thread, and a fork of the parent
cannot hide its death (a copied pipe end would). When the parent is gone, the command gets SIGTERM, then the
group gets SIGKILL.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

LOOK_EVERY = 0.25
GRACE = 8.0


def main(arguments: list[str]) -> int:
    """Run the command until it ends or the parent does; returns the command's exit code."""
    parent, command = int(arguments[0]), arguments[1:]
    # A handler, not SIG_IGN: the command would inherit that and could not be stopped. SIGTERM to the group is
    # meant for the command; this process ends when the command has ended.
    signal.signal(signal.SIGTERM, lambda *_: None)
    # Our standard output is the line to the parent; the command writes where our standard error goes.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    with os.fdopen(os.dup(1), "w") as line:
        line.write(f"{child.pid}\n")
    os.close(1)
    while os.getppid() == parent:
        try:
            return child.wait(LOOK_EVERY)
        except subprocess.TimeoutExpired:
            continue
    child.terminate()
    deadline = time.monotonic() + GRACE
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY)
    os.killpg(os.getpgrp(), signal.SIGKILL)
    return 0  # not reached: we are in the group


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
