#!/usr/bin/env python3
"""What hostile clients cost: memory (PSS of the program, and of it with its Postgres) and the time of a good client's letter meanwhile.

    tests/bench/hostile.py target/release/pairpost [--seconds 10] [--json]

Starts the program on a private database and free ports of loopback, then lets one attack after another run for some seconds. Attackers come from
127.0.0.2 and up, the good client from 127.0.0.1: it sends a small letter each 50 ms over a new connection. Nothing but Python's library is needed.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import re
import signal
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time

DOMAIN = "pairs.test"


def pss(pid):
    """Kilobytes."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def family(pid):
    """The process and all below it."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


class Watch(threading.Thread):
    """The largest memory since `mark`."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.over = pid, threading.Event()
        self.mark()

    def mark(self):
        self.own = self.all = 0

    def run(self):
        while not self.over.wait(0.1):
            self.own = max(self.own, pss(self.pid))
            self.all = max(self.all, sum(pss(pid) for pid in family(self.pid)))


class Good(threading.Thread):
    """Notes how long each letter of the good client took, in milliseconds, or that it was not taken."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.mark()
        self.heard, said = multiprocessing.Pipe(duplex=False)
        # In a process of its own: the attackers' threads would take the interpreter from it.
        self.client = multiprocessing.Process(target=GoodClient(port).run, args=(said,), daemon=True)
        self.client.start()

    def mark(self):
        self.times, self.refused = [], []

    def run(self):
        with contextlib.suppress(EOFError, OSError):
            while True:
                took, refused = self.heard.recv()
                (self.refused if refused else self.times).append(refused or took)

    def end(self):
        self.client.terminate()
        self.client.join()


class GoodClient:
    """Sends letters, one after another."""

    def __init__(self, port):
        self.port, self.number = port, 0

    def run(self, said):
        while True:
            time.sleep(0.05)
            began = time.monotonic()
            try:
                self.letter()
                said.send(((time.monotonic() - began) * 1000, None))
            except (OSError, ValueError) as error:
                said.send((None, str(error)[:80] or type(error).__name__))

    def letter(self):
        self.number += 1
        with socket.create_connection(("127.0.0.1", self.port), timeout=30, source_address=("127.0.0.1", 0)) as stream:
            replies = stream.makefile("rb")

            def hear(code):
                while True:
                    line = replies.readline().decode()
                    if not line.startswith(code):
                        raise ValueError(line or "hung up")
                    if line[3:4] == " ":
                        return

            hear("220")
            for words, code in [("EHLO good.test", "250"), ("MAIL FROM:<good@good.test>", "250"), (f"RCPT TO:<postmaster@{DOMAIN}>", "250"), ("DATA", "354")]:
                stream.sendall(words.encode() + b"\r\n")
                hear(code)
            stream.sendall(f"From: good@good.test\r\nMessage-ID: <{self.number}@good.test>\r\n\r\nHello\r\n.\r\n".encode())
            hear("250")
            stream.sendall(b"QUIT\r\n")
            hear("221")


class Attack:
    """Some seconds of something; each of its clients has an address of its own where `spread` says so."""

    def __init__(self, port, seconds):
        self.port, self.until, self.hosts = port, time.monotonic() + seconds, 0
        self.noted = {}

    def note(self, what):
        self.noted[what] = self.noted.get(what, 0) + 1

    def connect(self, host="127.0.0.2", timeout=5):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout, source_address=(host, 0))

    def going(self):
        return time.monotonic() < self.until

    def begin_letter(self, stream, sender="evil@evil.test"):
        stream.sendall(f"EHLO evil.test\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<postmaster@{DOMAIN}>\r\nDATA\r\n".encode())
        heard = b""
        while b"354" not in heard:
            more = stream.recv(4096)
            if not more:
                raise ConnectionError("hung up")
            heard += more

    def many(self, count, work):
        threads = [threading.Thread(target=self.guarded, args=(work, n), daemon=True) for n in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def guarded(self, work, n):
        while self.going():
            try:
                work(n)
            except OSError as error:
                self.note(type(error).__name__)
                time.sleep(0.01)

    # The attacks.

    def endless_line(self):
        """a command line that never ends, of 8 clients"""

        def work(n):
            with self.connect() as stream:
                while self.going():
                    stream.sendall(b"x" * 65536)

        self.many(8, work)

    def endless_message(self):
        """a message that never ends, of 8 clients"""

        def work(n):
            with self.connect() as stream:
                self.begin_letter(stream)
                while self.going():
                    stream.sendall((b"y" * 998 + b"\r\n") * 64)

        self.many(8, work)

    def large_messages(self):
        """16 clients that send letters of 25 MB one after another"""
        block = (b"z" * 998 + b"\r\n") * 1000

        def work(n):
            with self.connect(timeout=60) as stream:
                self.begin_letter(stream)
                head = f"From: e{n}@evil.test\r\nMessage-ID: <{time.monotonic_ns()}@evil.test>\r\n\r\n".encode()
                stream.sendall(head)
                for _ in range(25):
                    stream.sendall(block)
                stream.sendall(b".\r\n")
                self.note(stream.recv(4096)[:9].decode())

        self.many(16, work)

    def recipients(self):
        """10,000 recipients in one letter, of 4 clients"""

        def work(n):
            with self.connect(timeout=30) as stream:
                stream.sendall(b"EHLO evil.test\r\nMAIL FROM:<evil@evil.test>\r\n")
                for _ in range(100):
                    stream.sendall(f"RCPT TO:<postmaster@{DOMAIN}>\r\n".encode() * 100)
                    stream.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        while heard := stream.recv(65536):
                            pass
                    stream.setblocking(True)
                self.note("whole")

        self.many(4, work)

    def connections(self, spread=False):
        """500 connections of one client that then say nothing"""
        streams = []
        while self.going():
            host = f"127.0.{len(streams) % 250 + 1}.{len(streams) // 250 + 2}" if spread else "127.0.0.2"
            if len(streams) < 500:
                with contextlib.suppress(OSError):
                    streams.append(self.connect(host))
            else:
                time.sleep(0.05)
        self.note(f"{len(streams)} opened")
        for stream in streams:
            stream.close()

    def connections_of_500(self):
        """500 connections of 500 clients that then say nothing"""
        self.connections(spread=True)

    def slow_loris(self):
        """250 clients with a letter under way, of which each sends an octet in a second"""
        streams = []
        for n in range(250):
            with contextlib.suppress(OSError):
                stream = self.connect(f"127.0.{n % 250 + 1}.2")
                self.begin_letter(stream)
                streams.append(stream)
        while self.going():
            for stream in streams:
                with contextlib.suppress(OSError):
                    stream.sendall(b"x")
            time.sleep(1)
        self.note(f"{len(streams)} under way")
        for stream in streams:
            stream.close()

    def endless_handshake(self):
        """250 clients that begin TLS and never end the handshake"""
        streams = []
        for n in range(250):
            with contextlib.suppress(OSError):
                stream = self.connect(f"127.0.{n % 250 + 1}.2")
                stream.sendall(b"EHLO evil.test\r\nSTARTTLS\r\n")
                heard = b""
                while b"\n220 2" not in heard:
                    more = stream.recv(4096)
                    if not more:
                        raise ConnectionError("hung up")
                    heard += more
                # The head of a record of 16 kB, and a part of it.
                stream.sendall(b"\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb" + b"\0" * 12000)
                streams.append(stream)
        while self.going():
            time.sleep(0.1)
        self.note(f"{len(streams)} under way")
        for stream in streams:
            stream.close()

    def deaf(self):
        """250 clients that send commands and never read a reply"""
        streams = []
        while self.going():
            if len(streams) < 250:
                with contextlib.suppress(OSError):
                    streams.append(self.connect(f"127.0.{len(streams) % 250 + 1}.2"))
                    streams[-1].setblocking(False)
            for stream in streams:
                with contextlib.suppress(OSError):
                    stream.send(b"NOOP\r\n" * 2000)
            time.sleep(0.01)
        for stream in streams:
            stream.close()

    def signatures(self):
        """8 clients whose letters of 4 MB carry 5,000 signatures each"""
        head = b"DKIM-Signature: v=1; a=rsa-sha256; d=evil.test; s=a; h=from; bh=AAAA; b=AAAA\r\n" * 3000

        def work(n):
            with self.connect(timeout=60) as stream:
                self.begin_letter(stream)
                stream.sendall(f"From: e{n}@evil.test\r\nMessage-ID: <{time.monotonic_ns()}@evil.test>\r\n".encode() + head + b"\r\n")
                for _ in range(4):
                    stream.sendall((b"z" * 998 + b"\r\n") * 1000)
                stream.sendall(b".\r\n")
                self.note(stream.recv(4096)[:9].decode())

        self.many(8, work)


ATTACKS = ["endless_line", "endless_message", "large_messages", "recipients", "connections", "connections_of_500", "slow_loris", "endless_handshake", "deaf", "signatures"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--only", help="names of attacks, with commas")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pairpost-hostile-") as folder:
        os.chmod(folder, 0o711)
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL" and not name.startswith("PAIRPOST_")}
        environment |= {
            "PAIRPOST_DOMAIN": DOMAIN,
            "PAIRPOST_DATA_DIR": f"{folder}/data",
            "PAIRPOST_SMTP__LISTEN": "127.0.0.1:0",
            "PAIRPOST_HTTP__LISTEN": "127.0.0.1:0",
            "PAIRPOST_AUTH__VERIFY": "off",
            "PAIRPOST_RELAY__LIMITS": "off",
            "RUST_LOG": "off",
        }
        server = subprocess.Popen([given.program, "serve"], env=environment, stderr=subprocess.PIPE, text=True)
        try:
            ready = next(line for line in server.stderr if line.startswith("ready "))
            threading.Thread(target=lambda: [None for _ in server.stderr], daemon=True).start()
            port = int(re.search(r"smtp=127\.0\.0\.1:(\d+)", ready)[1])
            good, watch = Good(port), Watch(server.pid)
            watch.start()
            good.start()
            rows = []
            for name in ["quiet"] + [one for one in ATTACKS if not given.only or one in given.only.split(",")]:
                watch.mark()
                good.mark()
                attack = Attack(port, given.seconds)
                if name == "quiet":
                    time.sleep(min(given.seconds, 5))
                else:
                    getattr(attack, name)()
                times = sorted(good.times)
                rows.append({
                    "attack": name,
                    "what": (getattr(Attack, name).__doc__ if name != "quiet" else "nobody else"),
                    "pss_mib": round(watch.own / 1024, 1),
                    "with_postgres_mib": round(watch.all / 1024, 1),
                    "letters": len(times),
                    "refused": len(good.refused),
                    "why": sorted(set(good.refused))[:3],
                    "median_ms": round(statistics.median(times), 1) if times else None,
                    "p99_ms": round(times[int(len(times) * 0.99)], 1) if times else None,
                    "slowest_ms": round(times[-1], 1) if times else None,
                    "noted": attack.noted,
                })
                if not given.json:
                    print("{attack:20} {pss_mib:7} MiB, with Postgres {with_postgres_mib:7}; {letters:4} letters, {refused} refused, "
                          "median {median_ms} ms, 99 % {p99_ms}, slowest {slowest_ms}  {noted} {why}".format(**rows[-1]), flush=True)
                time.sleep(1)
            good.end()
            watch.over.set()
            if given.json:
                print(json.dumps(rows, indent=1))
        finally:
            server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(40)
            server.kill()


if __name__ == "__main__":
    main()
