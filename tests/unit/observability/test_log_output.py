"""Lines on their way out: whole, in order, never waited for, and counted where they are lost."""

import asyncio
import fcntl
import json
import logging
import math
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gateway.config.schema import Log
from gateway.observability import log as gateway_log
from gateway.observability.log_output import RETRY, LogOutput
from gateway.observability.log_sinks import FileSink, PipeSink, SocketSink, sink_of
from tests.waiting import PATIENCE

PIPE = 4096


def told(count: int) -> bytes:
    return b"lost %d\n" % count


class Pipe:
    """A pipe of 4096 bytes that is read only when a test says so."""

    def __init__(self, stack: ExitStack) -> None:
        self.reader, self.writer = os.pipe()
        stack.callback(os.close, self.reader)
        self.closed = False
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE)
        os.set_blocking(self.reader, False)

    def read(self) -> bytes:
        try:
            return os.read(self.reader, 1 << 20)
        except BlockingIOError:
            return b""


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    with ExitStack() as stack:
        made = Pipe(stack)
        yield made
        os.close(made.writer)


def line(number: int, size: int = 100) -> bytes:
    return (b"%d " % number).ljust(size - 1, b"x") + b"\n"


def test_a_full_pipe_is_not_waited_for_and_what_waits_is_written_when_it_is_read(pipe: Pipe) -> None:
    output = LogOutput(PipeSink(pipe.writer), told)
    lines = [line(number) for number in range(100)]
    for one in lines:
        output.write(one)
    read = pipe.read()
    assert 0 < len(read) <= PIPE
    while more := (output.flush(), pipe.read())[1]:
        read += more
    assert read == b"".join(lines)


def test_the_pipe_keeps_blocking_for_others_who_hold_it(pipe: Pipe) -> None:
    PipeSink(pipe.writer)
    assert os.get_blocking(pipe.writer)


def test_where_the_pipe_can_not_be_opened_anew_it_is_asked_before_each_write(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        sink = PipeSink(pipe.writer)
    output = LogOutput(sink, told)
    for number in range(100):
        output.write(line(number))
    assert pipe.read().startswith(line(0))


def test_lines_above_the_bound_are_lost_counted_and_told_of(pipe: Pipe) -> None:
    counted: list[int] = []
    output = LogOutput(PipeSink(pipe.writer), told, most=10_000)
    output.on_loss = counted.append
    for number in range(200):
        output.write(line(number))
    read = pipe.read()
    while more := (output.flush(), pipe.read())[1]:
        read += more
    kept = read.splitlines(keepends=True)
    lost = sum(counted)
    assert lost > 0
    assert kept == [*(line(number) for number in range(200 - lost)), b"lost %d\n" % lost]
    output.write(line(7))
    assert pipe.read() == line(7), "told once"


def test_a_reader_that_has_gone_costs_lines_and_nothing_else() -> None:
    counted: list[int] = []
    reader, writer = os.pipe()
    output = LogOutput(PipeSink(writer), told)
    output.on_loss = counted.append
    os.close(reader)
    output.write(line(1))
    output.write(line(2))
    os.close(writer)
    assert sum(counted) == 2


def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    counted: list[int] = []
    with open("/dev/full", "wb", buffering=0) as full:
        output = LogOutput(FileSink(full.fileno()), told)
        output.on_loss = counted.append
        output.write(line(1))
    assert counted == [1]


async def test_lines_that_may_wait_are_written_together(pipe: Pipe) -> None:
    sizes: list[int] = []

    class Counting(PipeSink):
        def send(self, data: bytes) -> int:
            sizes.append(len(data))
            return super().send(data)

    output = LogOutput(Counting(pipe.writer), told)
    lines = [line(number) for number in range(60)]
    for one in lines[:30]:
        output.later(one)
    assert sizes == []
    for one in lines[30:]:
        output.later(one)
    read = pipe.read()
    assert len(sizes) == 1
    assert sizes[0] <= PIPE, "what a pipe takes as a whole: lines of several workers don't mix"
    async with asyncio.timeout(PATIENCE):
        while len(read) < 6000:
            await asyncio.sleep(0.01)
            read += pipe.read()
    assert read == b"".join(lines)


async def test_lines_that_must_not_wait_take_those_before_them_along(pipe: Pipe) -> None:
    output = LogOutput(PipeSink(pipe.writer), told)
    output.later(line(1))
    output.write(line(2))
    assert pipe.read() == line(1) + line(2)


async def test_a_full_pipe_is_tried_again_without_a_further_line(pipe: Pipe) -> None:
    output = LogOutput(PipeSink(pipe.writer), told)
    lines = [line(number) for number in range(100)]
    for one in lines:
        output.later(one)
    read = b""
    async with asyncio.timeout(PATIENCE):
        while len(read) < 10_000:
            read += pipe.read()
            await asyncio.sleep(0.01)
    assert read == b"".join(lines)


def test_without_an_event_loop_a_line_that_met_another_process_s_turn_is_tried_again(pipe: Pipe) -> None:
    """The parent of the workers writes a line now and then: "reload done" must not wait for its next one."""
    sink = PipeSink(pipe.writer)
    output = LogOutput(sink, told)
    assert output.retry() == math.inf
    with turn_of_another_process(sink):
        output.write(line(1))
        assert (pipe.read(), output.retry()) == (b"", RETRY)
    assert output.retry() == math.inf
    assert pipe.read() == line(1)
    assert output.retry() == math.inf
    assert pipe.read() == b""


@contextmanager
def turn_of_another_process(sink: PipeSink) -> Iterator[None]:
    """A worker that is in the middle of writing."""
    taken, ours = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        fcntl.lockf(sink._turn._fd, fcntl.LOCK_EX)
        os.write(taken[1], b"x")
        os.close(ours[1])
        os.read(ours[0], 1)
        os._exit(0)
    assert os.read(taken[0], 1) == b"x"
    try:
        yield
    finally:
        os.close(ours[1])
        os.waitpid(pid, 0)
        for descriptor in (*taken, ours[0]):
            os.close(descriptor)


def test_the_end_waits_for_a_slow_reader_but_not_for_ever(pipe: Pipe) -> None:
    output = LogOutput(PipeSink(pipe.writer), told)
    for number in range(100):
        output.write(line(number))
    output.finish(0.01)
    taken = pipe.read()
    output.finish(0.01)
    assert pipe.read().startswith(line(len(taken) // 100))


def test_a_line_above_the_bound_of_a_pipe_goes_out_in_pieces_and_in_order(pipe: Pipe) -> None:
    output = LogOutput(PipeSink(pipe.writer), told)
    long = line(1, 10_000)
    output.write(long)
    output.write(line(2))
    read = pipe.read()
    while more := (output.flush(), pipe.read())[1]:
        read += more
    assert read == long + line(2)


def test_a_journal_socket_that_nobody_reads_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sink = SocketSink(ours.fileno())
        output = LogOutput(sink, told, most=50_000_000)
        for number in range(20_000):
            output.write(line(number))
        theirs.setblocking(False)
        read = theirs.recv(1 << 20)
        assert read.startswith(line(0) + line(1))
        assert ours.getblocking()
        sink.close()


def test_a_child_does_not_write_what_waits_in_its_parent(pipe: Pipe) -> None:
    output = LogOutput(PipeSink(pipe.writer), told)
    for number in range(100):
        output.write(line(number))
    output.forget()
    pipe.read()
    output.write(line(7))
    assert pipe.read() == line(7)


def test_each_kind_of_standard_output_has_its_way(tmp_path: Path, pipe: Pipe) -> None:
    ours, theirs = socket.socketpair()
    with (
        (tmp_path / "log").open("w") as file,
        os.fdopen(os.dup(pipe.writer), "w") as piped,
        os.fdopen(os.dup(ours.fileno()), "w") as socketed,
        ours,
        theirs,
    ):
        sinks = [sink_of(stream) for stream in (file, piped, socketed)]
        kinds = [type(sink) for sink in sinks]
        for sink in sinks:
            sink.close()
    assert kinds == [FileSink, PipeSink, SocketSink]


def test_the_loss_is_told_in_the_form_of_the_log(pipe: Pipe) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with os.fdopen(os.dup(pipe.writer), "w") as stream:
        try:
            gateway_log.configure(Log(), stream)
            for _ in range(300):
                logging.getLogger("gateway.test").warning("x" * 4000)
            handler = gateway_log.current_handler()
            assert handler is not None
            read = pipe.read()
            while more := (handler.output.flush(), pipe.read())[1]:
                read += more
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
    last = json.loads(read.splitlines()[-1])
    assert (last["level"], last["logger"]) == ("warning", "gateway.log")
    assert "lines of the log are lost" in last["message"]
