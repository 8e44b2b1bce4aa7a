"""A small HTTP client that asks as fast as the server answers, and remembers how long each answer took.

Why not one off the shelf: each request of a case is another one (another item, another box), writes must be sent once
each, and the client must be there wherever Python is. Requests are bytes made beforehand; an answer is read to its end
and not parsed. The client shares the machine with the server: its own CPU time is measured and told, and counts in no
figure of the server's. At sixteen connections it runs as many processes as there are cores (two at least).
"""

import multiprocessing
import os
import resource
import selectors
import socket
import time
from array import array
from dataclasses import dataclass, field


@dataclass
class Answers:
    """What a run of requests came to."""

    seconds: float = 0.0
    client_cpu: float = 0.0
    milliseconds: array = field(default_factory=lambda: array("d"))
    statuses: dict = field(default_factory=dict)
    bytes: int = 0

    @property
    def count(self):
        return len(self.milliseconds)

    def failed(self):
        """Returns how many answers were no success."""
        return sum(count for status, count in self.statuses.items() if not 200 <= status < 300)

    def percentile(self, share):
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def raw(method, path, body=None, headers=None, port=0):
    """Returns a request as bytes for the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    body = body.encode() if isinstance(body, str) else body or b""
    if body or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
        if not any(line.lower().startswith("content-type:") for line in lines):
            lines.append("Content-Type: application/json")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def drive(port, requests, connections=1, seconds=None):
    """Sends requests over so many connections: for so many seconds in turns, or, without, each of them once."""
    workers = min(connections, max(2, len(os.sched_getaffinity(0))))
    context = multiprocessing.get_context("fork")
    begin = time.monotonic() + 0.15  # when all are connected
    ends = []
    for number in range(workers):
        ours, theirs = context.Pipe(False)
        count = len(range(number, connections, workers))
        if seconds is None:
            share = requests[number::workers]
        else:
            start = number * len(requests) // workers
            share = requests[start:] + requests[:start]
        process = context.Process(target=_work, args=(theirs, port, share, count, begin, seconds))
        process.start()
        theirs.close()
        ends.append((ours, process))
    answers, last = Answers(), begin
    for ours, process in ends:
        try:
            milliseconds, statuses, size, ended, cpu = ours.recv()
        except EOFError:
            raise SystemExit("bench: a client process died; its words are above") from None
        process.join()
        answers.milliseconds.frombytes(milliseconds)
        for status, times in statuses.items():
            answers.statuses[status] = answers.statuses.get(status, 0) + times
        answers.bytes += size
        answers.client_cpu += cpu
        last = max(last, ended)
    answers.seconds = last - begin
    return answers


def _work(pipe, port, requests, connections, begin, seconds):
    worker = _Worker(port, requests, seconds is not None)
    worker.run(connections, begin, seconds)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = usage.ru_utime + usage.ru_stime - worker.cpu_before
    pipe.send((worker.milliseconds.tobytes(), worker.statuses, worker.bytes, time.monotonic(), cpu))


class _Worker:
    """Some connections in one process, each with one request on its way."""

    def __init__(self, port, requests, again):
        self.port, self.requests, self.again = port, requests, again
        self.next, self.milliseconds, self.statuses, self.bytes = 0, array("d"), {}, 0
        self.buffer = bytearray(1 << 18)
        self.view = memoryview(self.buffer)
        self.selector = selectors.EpollSelector()
        self.cpu_before = 0.0

    def run(self, connections, begin, seconds):
        sockets = [self._connect() for _ in range(min(connections, len(self.requests)) if not self.again else connections)]
        time.sleep(max(0, begin - time.monotonic()))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.cpu_before = usage.ru_utime + usage.ru_stime
        deadline = begin + seconds if seconds is not None else float("inf")
        waiting = {connection for connection in sockets if self._send(connection)}
        while waiting:
            for key, _ in self.selector.select():
                connection = key.data
                if self._read(connection) and not (time.monotonic() < deadline and self._send(connection)):
                    # what happens on it now, such as the server hanging up, is no answer
                    self.selector.unregister(connection.socket)
                    waiting.discard(connection)

    def _connect(self):
        connection = _Connection()
        connection.open(self.port)
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)
        return connection

    def _send(self, connection):
        if self.next >= len(self.requests):
            if not self.again or not self.requests:
                return False
            self.next = 0
        request = self.requests[self.next]
        self.next += 1
        if connection.closing:  # the server said that it would hang up, or did
            self.selector.unregister(connection.socket)
            connection.socket.close()
            connection.open(self.port)
            self.selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.sent = time.perf_counter()
        try:
            connection.socket.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was read whole: what the server said, if anything, is still to be read
        return True

    def _read(self, connection):
        """Reads what has come; tells whether the answer is whole."""
        try:
            size = connection.socket.recv_into(self.buffer)
        except ConnectionResetError:
            size = 0
        if not connection.take(self.view[:size]):
            return False
        self.milliseconds.append((time.perf_counter() - connection.sent) * 1000)
        self.statuses[connection.status] = self.statuses.get(connection.status, 0) + 1
        self.bytes += connection.body
        connection.reset()
        return True


class _Connection:
    """Finds where an answer ends: by its length, by its last chunk, or because the server hangs up."""

    def __init__(self):
        self.socket, self.sent, self.closing = None, 0.0, False
        self.reset()

    def open(self, port):
        self.socket, self.closing = socket.create_connection(("127.0.0.1", port), timeout=120), False
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reset(self):
        self.head, self.status, self.left, self.body, self.tail, self.until_closed = b"", 0, None, 0, b"", False

    def take(self, data):
        if not data:
            self.closing = True
            if not (self.status and self.until_closed):
                self.status = 599  # hung up in the middle
            return True
        if self.status:
            return self._more(data)
        self.head += bytes(data)
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return False
        self.status = int(self.head[9:12])
        header = self.head[:end].lower()
        self.closing = b"\r\nconnection: close" in header
        at = header.find(b"\r\ncontent-length:")
        if at >= 0:
            self.left = int(header[at + 17:].split(b"\r\n", 1)[0])
        elif self.status in (204, 304):
            self.left = 0
        else:
            self.until_closed = b"\r\ntransfer-encoding: chunked" not in header
        return self._more(self.head[end + 4:])

    def _more(self, data):
        self.body += len(data)
        if self.left is not None:
            return self.body >= self.left
        self.tail = (self.tail + bytes(data[-5:]))[-5:]
        return not self.until_closed and self.tail == b"0\r\n\r\n"
