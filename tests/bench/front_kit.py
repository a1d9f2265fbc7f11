"""What the trials of mail servers in front of Pairpost share: a name server, the program on loopback, and letters from any host of loopback."""

import contextlib
import json
import os
import signal
import smtplib
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time

DOMAIN = "pairs.test"
# From 127.0.0.2 alone.
ZONE = {
    "there.test": "v=spf1 ip4:127.0.0.2 -all",
    "_dmarc.there.test": "v=DMARC1; p=reject",
    "spf-only.test": "v=spf1 ip4:127.0.0.2 -all",
}


class Names(socketserver.BaseRequestHandler):
    """Answers for TXT records of ZONE; nothing else exists."""

    def handle(self):
        question, stream = self.request
        at, parts = 12, []
        while question[at]:
            parts.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        asked, (kind,) = question[12 : at + 5], struct.unpack("!H", question[at + 1 : at + 3])
        text = ZONE.get(".".join(parts).lower())
        answer = b""
        if text and kind == 16:
            data = bytes([len(text)]) + text.encode()
            answer = b"\xc0\x0c" + struct.pack("!HHIH", 16, 1, 60, len(data)) + data
        code = 0x8180 if text else 0x8183
        stream.sendto(question[:2] + struct.pack("!HHHHH", code, 1, bool(answer), 0, 0) + asked + answer, self.client_address)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def send(port, host, sender, header):
    """The last reply to a letter from `host`."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", source_address=(host, 0), timeout=60) as client:
        try:
            client.sendmail(sender, [f"join@{DOMAIN}"], f"{header}From: {sender}\r\nTo: join@{DOMAIN}\r\nSubject: Hello\r\n\r\nI would like to join.\r\n")
            return "250"
        except smtplib.SMTPResponseException as refused:
            return f"{refused.smtp_code} {refused.smtp_error.decode()}"


def decision_on(program, environment, sender):
    """How the letter of `sender` was admitted, once it was worked on; it is waited for."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        listed = subprocess.run([program, "exchange", "list", "--json"], env=environment, capture_output=True, text=True, check=True).stdout
        for row in json.loads(listed):
            if row["direction"] == "in" and row["address"] == sender and row["outcome"]:
                return "hold" if row["outcome"].startswith("held") else "take"
        time.sleep(0.1)
    sys.exit(f"no word of the letter of {sender} within 60 s")


@contextlib.contextmanager
def pairpost(program, folder, port, settings):
    """Serves on `port`, asking the zone about names; gives its environment."""
    names = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Names)
    threading.Thread(target=names.serve_forever, daemon=True).start()
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL" and not key.startswith("PAIRPOST_")} | {
        "PAIRPOST_DOMAIN": DOMAIN,
        "PAIRPOST_DATA_DIR": f"{folder}/data",
        "PAIRPOST_SMTP__LISTEN": f"127.0.0.1:{port}",
        "PAIRPOST_HTTP__LISTEN": "127.0.0.1:0",
        "PAIRPOST_DNS__SERVER": "127.0.0.1:%d" % names.server_address[1],
        "RUST_LOG": "off",
    } | settings
    server = subprocess.Popen([program, "serve"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        next(line for line in server.stderr if line.startswith("ready "))
        yield environment
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(90)
        names.shutdown()


def said(port, host, octets):
    """All that is heard after sending these octets, which end the session."""
    with socket.create_connection(("127.0.0.1", port), source_address=(host, 0), timeout=60) as stream:
        stream.sendall(octets)
        return b"".join(iter(lambda: stream.recv(4096), b"")).decode()


def judge(what, right, detail):
    """A line for people; gives 1 where it is not right."""
    print(f"{'right' if right else 'WRONG'}  {what}: {detail}")
    return 0 if right else 1


def judge_letter(program, environment, what, at, host, sender, header, reply, then):
    """Sends a letter; `then` says how it must have been admitted, None where it must be refused."""
    got = send(at, host, sender, header)
    decided = decision_on(program, environment, sender) if then else None
    return judge(what, got.startswith(reply) and decided == then, f"{got[:60]} {'' if then is None else 'held' if decided == 'hold' else 'trusted'}")
