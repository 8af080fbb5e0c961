"""Several calls at once, each in a process of its own.

Processes in place of threads: what is called need not be safe for threads, and the interpreter runs one thread at a
time. A process that ends before its time, as where memory ran out, takes no other call with it.
"""

from __future__ import annotations

import io
import multiprocessing
import pickle
import signal
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

from cvbench.errors import InputError

Told = Callable[[int, str, int, int], object]


def packed(function: Callable[..., Any], *arguments: Any) -> bytes | None:
    """A call as bytes for `call_all`; None where it cannot be sent to another process."""
    content = io.BytesIO()
    try:
        ForkingPickler(content).dump((function, arguments))
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    return content.getvalue()


def call_all(calls: Mapping[int, bytes], processes: int, progress: Told) -> Generator[tuple[int, Any], None, None]:
    """What each of several calls returns, as soon as it does.

    Parameters
    ----------
    calls
        From `packed`, by number. Each function has one parameter more: what it tells stage, done and total.
    processes
        That work at once, from 1. They end with the generator: close it where it is not read to its end.
    progress
        Told the number of a call and what that told.

    Yields
    ------
    int
        The number of the call.
    object
        What it returned; an `InputError` where its process ended instead, as it does where the function fails.
    """
    waiting, workers = deque(calls.items()), list[_Worker]()
    try:
        while waiting or workers:
            while waiting and len(workers) < processes:
                workers.append(_Worker())
                workers[-1].ask(*waiting.popleft())
            ready = wait([worker.connection for worker in workers])
            for worker in [worker for worker in workers if worker.connection in ready]:
                ended, content = worker.answer()
                if not ended:
                    progress(worker.number, *content)
                    continue
                number = worker.number
                if waiting and worker.process.is_alive():
                    worker.ask(*waiting.popleft())
                else:
                    workers.remove(worker)
                    worker.end()
                yield number, content
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process that answers one call after another.

    Attributes
    ----------
    process, connection
    number
        Of the call that it is at.
    """

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.connection, theirs = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(theirs,))
        self.process.start()
        theirs.close()  # so that the connection ends with the process
        self.number = -1

    def ask(self, number: int, call: bytes) -> None:
        """Send the next call."""
        self.number = number
        with suppress(BrokenPipeError):  # then the answer says that the process has ended
            self.connection.send_bytes(call)

    def answer(self) -> tuple[bool, Any]:
        """Whether the call has ended, and what it returned; or what it told on the way."""
        try:
            ended, content = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            message = (
                f"the process ended with code {self.process.exitcode} before its work did: out of memory, an error "
                "that it wrote, or a script that does not call this under `if __name__ == '__main__':`"
            )
            return True, InputError(message)
        return ended, content

    def end(self) -> None:
        """End the process, whatever it does."""
        self.process.terminate()
        self.process.join()
        self.connection.close()


def serve(connection: Connection) -> None:
    """Answer calls until nobody is there to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal interrupts the process that asks, too; that ends this one
    with suppress(EOFError):
        while True:
            function, arguments = pickle.loads(connection.recv_bytes())
            returned = function(*arguments, lambda *told: connection.send((False, told)))
            connection.send((True, returned))
