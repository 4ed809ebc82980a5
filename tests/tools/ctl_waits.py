# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctl_waits.py: who keeps nearheap-ctl waiting, for ctl_test.py: --wait is for all of it."""

import contextlib
import os
import socket
import subprocess
import threading
import time

from ctl_asked import CTL, PATIENCE_S, ctl, equal, fail, fill, folder, leave, listen_in
from ctl_strangers import accept_command

LONGER = "it takes longer; see --wait"


def commands_at(listener):
    """What clients sent that nobody has accepted; nothing, of processes that only look whether
    somebody listens."""
    commands = []
    listener.setblocking(False)
    while True:
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            return commands
        with client, contextlib.suppress(BlockingIOError, ConnectionResetError):
            client.setblocking(False)
            if command := client.recv(4096):
                commands.append(command)


def who_goes_on_answering_is_left():
    """A byte now and then, each within the time."""
    def go_on():
        try:
            client, _ = accept_command(listener)
            with client:
                while True:
                    client.sendall(b"x")
                    time.sleep(0.1)
        except OSError:
            pass  # it has heard enough, or there was not even time to connect

    place = folder(os.geteuid())
    with listen_in(place, 1) as listener:
        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            done = subprocess.run([CTL, "--wait", "1", str(os.getpid()), "get"], check=False,
                                  capture_output=True, text=True, timeout=PATIENCE_S / 2)
        except subprocess.TimeoutExpired:
            fail("--wait 1 does not end while the process goes on answering")
        finally:
            leave(place)
            listener.shutdown(socket.SHUT_RDWR)  # accept returns
            thread.join()
        equal("who is answered for ever", (done.returncode, LONGER in done.stderr), (1, True))


def places_share_the_time():
    """When the time is over in the first, the next is not tried."""
    first, second = (f"{place}/nearheap-{os.geteuid()}" for place in ("/dev/shm", "/tmp"))
    if folder(os.geteuid()) != first:
        return
    with listen_in(first, 0) as full, listen_in(second, 8) as free:
        waiting = fill(f"{first}/{os.getpid()}.sock")
        try:
            said = ctl(os.getpid(), "--wait", "1", "get", status=1)
            if LONGER not in said:
                fail(f"where nobody accepts: {said}")
            equal("what is asked elsewhere, after the time", commands_at(free), [])
        finally:
            for client in waiting:
                client.close()
            leave(first)
            leave(second)
