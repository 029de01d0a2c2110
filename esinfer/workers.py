"""Several processes that serve one port, and the one that looks after them.

The supervisor forks the workers before there is an event loop or a thread, the
first one first: the others when it accepts connections. Each opens the store
for itself. The supervisor starts anew whoever dies, later each time,
passes SIGTERM and SIGINT on, the same again too, and waits for all. A worker
whose supervisor is gone stops as if it had been told to.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass

from esinfer.metrics.board import Board
from esinfer.ports import Port
from esinfer.serving import Post, StartError
from esinfer.stopping import STOP_SIGNALS

_LOGGER = logging.getLogger(__name__)
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
_STEADY = 30.0
"""A worker that has lived so many seconds is started anew at once, whatever was before."""
_READY = b"ready"
_SIGNALS = {*STOP_SIGNALS, signal.SIGCHLD}

RunWorker = Callable[[Post], int]
"""Serves as a worker until told to stop; the exit status."""


class WorkerError(StartError):
    """The workers cannot be started; the text is one line that says why."""


@dataclass(slots=True, kw_only=True)
class _Worker:
    """One place among the workers, and the process that has it now."""

    number: int
    pid: int = 0
    report: int = -1
    since: float = 0.0
    deaths: int = 0
    due: float | None = None

    @property
    def name(self) -> str:
        return f"worker {self.number + 1}"


class Supervisor:
    """Keeps ``count`` workers running; for the main thread of a process without others.

    ``started`` is called once, when all accept connections. After a stop signal
    the workers have ``patience`` seconds.
    """

    def __init__(
        self,
        count: int,
        run: RunWorker,
        port: Port,
        *,
        started: Callable[[], None],
        patience: float,
    ) -> None:
        self._workers = [_Worker(number=number) for number in range(count)]
        self._board = Board(count)
        self._run_worker = run
        self._port = port
        self._started: Callable[[], None] | None = started
        self._patience = patience
        self._selector = selectors.DefaultSelector()
        self._heard: set[int] = set()
        self._asked_again = False

    def run(self) -> None:
        """Start all and look after them until a stop signal. Raises WorkerError."""
        with (
            closing(self._selector),
            _wakened(self._stop) as bell,
            _lifeline() as self._lifeline,
        ):
            self._selector.register(bell, selectors.EVENT_READ)
            gc.freeze()  # what is shared stays shared: no search for garbage writes to it
            try:
                self._start(self._workers[0])
                while not self._heard:
                    self._watch(bell)
            finally:
                self._end()

    def _stop(self, number: int) -> None:
        self._asked_again = self._asked_again or number in self._heard
        self._heard.add(number)

    def _watch(self, bell: socket.socket) -> None:
        """Wait for one thing to happen, and see to it."""
        for key, _ in self._selector.select(self._next_start()):
            if isinstance(key.data, _Worker):
                self._hear(key.data)
            else:
                with suppress(BlockingIOError):
                    bell.recv(4096)
        if self._heard:
            return
        self._bury()
        for worker in self._workers:
            if worker.due is not None and worker.due <= time.monotonic():
                self._start(worker)

    def _next_start(self) -> float | None:
        due = [worker.due for worker in self._workers if worker.due is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _hear(self, worker: _Worker) -> None:
        """What a worker says of its start: that it accepts connections, or why it cannot."""
        said = os.read(worker.report, 4096)
        self._close_report(worker)
        if said == _READY:
            self._note_start()
        elif said:  # else it died without a word, which its status will tell
            problem = said.decode("utf-8", "replace")
            if self._started:
                raise WorkerError(problem)
            _LOGGER.error("%s cannot start: %s", worker.name, problem)

    def _note_start(self) -> None:
        """At the start of all, it is the others' turn, or nobody's any more."""
        if not self._started:
            return
        waiting = [worker for worker in self._workers if not worker.pid]
        for worker in waiting:
            worker.due = time.monotonic()
        if not waiting and all(worker.report < 0 for worker in self._workers):
            self._started()
            self._started = None

    def _bury(self) -> None:
        """Note who has died, and when they start anew."""
        for worker in self._workers:
            if not worker.pid:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                continue
            worker.pid = 0
            if worker.report >= 0:
                self._hear(worker)
            ending = _ending(status)
            if self._started:
                raise WorkerError(f"{worker.name} {ending} before all accepted connections")
            delay = self._put_off(worker)
            _LOGGER.error(
                "%s (process %d) %s; another starts in %g seconds", worker.name, pid, ending, delay
            )

    @staticmethod
    def _put_off(worker: _Worker) -> float:
        """Set when the next process takes this place; in how many seconds that is."""
        now = time.monotonic()
        worker.deaths = 1 if now - worker.since >= _STEADY else worker.deaths + 1
        delay = min(_FIRST_DELAY * 2.0 ** min(worker.deaths - 1, 10), _LONGEST_DELAY)
        worker.due = now + delay
        return delay

    def _start(self, worker: _Worker) -> None:
        """Give this place a process; later, if the system has none to give just now."""
        worker.since, worker.due = time.monotonic(), None
        try:
            self._fork(worker)
        except OSError as error:
            self._start_later(worker, error)

    def _start_later(self, worker: _Worker, error: OSError) -> None:
        problem = f"{worker.name} cannot start: {error.strerror}"
        if self._started:
            raise WorkerError(problem) from error
        delay = self._put_off(worker)
        _LOGGER.error("%s; tried again in %g seconds", problem, delay)

    def _fork(self, worker: _Worker) -> None:
        _flush()
        report, told = os.pipe()
        with ExitStack() as undo:
            undo.callback(os.close, report)
            with _signals_blocked(), _closing(told):
                pid = os.fork()
                if pid == 0:
                    os._exit(self._be(worker, told))
            undo.pop_all()
        worker.pid, worker.report = pid, report
        self._selector.register(report, selectors.EVENT_READ, worker)

    def _be(self, worker: _Worker, told: int) -> int:
        """Live as a worker; the exit status. The stop signals are blocked until they are heeded."""
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        self._selector.close()
        os.close(self._lifeline.mine)
        post = Post(
            sockets=self._port.sockets,
            tell=_Report(worker.name, told).tell,
            lifeline=self._lifeline.theirs,
            slot=self._board.slots[worker.number],
            first=worker.number == 0 and self._started is not None,
        )
        try:
            return self._run_worker(post)
        except BaseException:  # or it would go on as the supervisor, and stop its siblings
            _LOGGER.critical("%s failed", worker.name, exc_info=True)
            return 1

    def _close_report(self, worker: _Worker) -> None:
        self._selector.unregister(worker.report)
        os.close(worker.report)
        worker.report = -1

    def _end(self) -> None:
        """Stop all, and wait; who does not heed the signal in time is killed.

        They get the one that was not heard: systemd and terminals send theirs to
        the workers too, to whom the same signal again means "at once".
        """
        number = signal.SIGINT if signal.SIGTERM in self._heard else signal.SIGTERM
        living = [worker for worker in self._workers if worker.pid]
        _send(number, living)
        deadline = time.monotonic() + self._patience
        while (living := [each for each in living if not _has_ended(each)]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.01)
            if self._asked_again:
                self._asked_again = False
                _send(number, living)
        for worker in living:
            _LOGGER.error("%s does not stop: killed", worker.name)
            os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)
            worker.pid = 0
        for worker in self._workers:
            if worker.report >= 0:
                self._close_report(worker)


class _Report:
    """What a worker says of its start, once, through the pipe; what it says later is logged."""

    def __init__(self, name: str, pipe: int) -> None:
        self._name = name
        self._pipe: int | None = pipe

    def tell(self, problem: str | None) -> None:
        if self._pipe is None:
            _LOGGER.error("%s failed: %s", self._name, problem)
            return
        pipe, self._pipe = self._pipe, None
        with _closing(pipe):
            os.write(pipe, problem.encode()[:4000] if problem else _READY)


def _flush() -> None:
    """Leave nothing in buffers that two processes would write."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):  # whoever reads it may be gone
                stream.flush()


def _send(number: int, workers: Iterable[_Worker]) -> None:
    for worker in workers:
        os.kill(worker.pid, number)


def _has_ended(worker: _Worker) -> bool:
    """Whether its process has; then it has none any more."""
    if not os.waitpid(worker.pid, os.WNOHANG)[0]:
        return False
    worker.pid = 0
    return True


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended with status {os.WEXITSTATUS(status)}"


@contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lifeline:
    """A pipe that is at its end when the supervisor is: its end, and the workers'."""

    mine: int
    theirs: int


@contextmanager
def _lifeline() -> Iterator[_Lifeline]:
    theirs, mine = os.pipe()
    try:
        yield _Lifeline(mine=mine, theirs=theirs)
    finally:
        os.close(mine)
        os.close(theirs)


@contextmanager
def _wakened(stop: Callable[[int], None]) -> Iterator[socket.socket]:
    """A socket with something to read after each signal; ``stop`` takes a stop signal's number."""
    bell, ringer = socket.socketpair()
    with bell, ringer:
        bell.setblocking(False)
        ringer.setblocking(False)
        signal.set_wakeup_fd(ringer.fileno(), warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, lambda number, _: stop(number))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield bell
        finally:
            signal.set_wakeup_fd(-1)
