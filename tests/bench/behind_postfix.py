"""Pairpost behind Debian's Postfix: see tests/bench/behind-postfix."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import smtplib
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time

program = sys.argv[1]
DOMAIN, FRONT = "pairs.test", "front.test"
# From 127.0.0.2 alone.
ZONE = {
    "there.test": "v=spf1 ip4:127.0.0.2 -all",
    "_dmarc.there.test": "v=DMARC1; p=reject",
    "spf-only.test": "v=spf1 ip4:127.0.0.2 -all",
}


def labels(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


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


@contextlib.contextmanager
def postfix(folder, port, behind):
    """An instance of its own under `folder`."""
    conf, spool, data = folder / "conf", folder / "spool", folder / "pfdata"
    for one in (conf, spool, data):
        one.mkdir()
    shutil.chown(data, "postfix")
    for one in ("postfix-files", "dynamicmaps.cf"):
        if pathlib.Path("/etc/postfix", one).exists():
            shutil.copy(f"/etc/postfix/{one}", conf)
    (conf / "main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = {conf}
multi_instance_name = postfix-front
multi_instance_enable = yes
myhostname = {FRONT}
mydestination =
mynetworks = 192.0.2.0/24
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relay_domains = {DOMAIN}
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_tls_security_level = none
smtpd_peername_lookup = no
alias_maps =
biff = no
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
header_checks = regexp:{conf}/header_checks
""")
    (conf / "header_checks").write_text(f"/^Authentication-Results:[[:space:]]*{FRONT}/ IGNORE\n")
    (conf / "master.cf").write_text(f"""127.0.0.1:{port} inet n - n - - smtpd
    -o smtpd_proxy_filter=127.0.0.1:{behind}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
""")
    subprocess.run(["postfix", "-c", conf, "start"], check=True, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run(["postfix", "-c", conf, "stop"], check=True, stderr=subprocess.DEVNULL)


def send(port, host, sender, header):
    """The last reply to a letter from `host`."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", source_address=(host, 0), timeout=30) as client:
        try:
            client.sendmail(sender, [f"join@{DOMAIN}"], f"{header}From: {sender}\r\nTo: join@{DOMAIN}\r\nSubject: Hello\r\n\r\nI would like to join.\r\n")
            return "250"
        except smtplib.SMTPResponseException as refused:
            return f"{refused.smtp_code} {refused.smtp_error.decode()}"


def signed(sender):
    """`DKIM-Signature` over the letter that `send` writes, and its record in the zone: by openssl, RSA and SHA-256."""
    import base64
    import hashlib

    with tempfile.TemporaryDirectory() as folder:
        key = f"{folder}/key"
        subprocess.run(["openssl", "genrsa", "-out", key, "1024"], check=True, stderr=subprocess.DEVNULL)
        public = subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        ZONE["a._domainkey.there.test"] = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
        body = base64.b64encode(hashlib.sha256(b"I would like to join.\r\n").digest()).decode()
        field = f"v=1; a=rsa-sha256; c=relaxed/relaxed; d=there.test; s=a; h=from:subject; bh={body}; b="
        text = f"from:{sender}\r\nsubject:Hello\r\ndkim-signature:{field}"
        made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text.encode(), check=True, capture_output=True).stdout
        return f"DKIM-Signature: {field}{base64.b64encode(made).decode()}\r\n"


def decision_on(sender):
    """How the letter of `sender` was admitted, once it was worked on; it is waited for."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        listed = subprocess.run([program, "exchange", "list", "--json"], env=environment, capture_output=True, text=True, check=True).stdout
        for row in json.loads(listed):
            if row["direction"] == "in" and row["address"] == sender and row["outcome"]:
                return "hold" if row["outcome"].startswith("held") else "take"
        time.sleep(0.1)
    sys.exit(f"no word of the letter of {sender} within 20 s")


with tempfile.TemporaryDirectory(prefix="pairpost-front-") as name:
    folder = pathlib.Path(name)
    folder.chmod(0o755)
    names = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Names)
    threading.Thread(target=names.serve_forever, daemon=True).start()
    port, behind = free_port(), free_port()
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL" and not key.startswith("PAIRPOST_")} | {
        "PAIRPOST_DOMAIN": DOMAIN,
        "PAIRPOST_DATA_DIR": f"{folder}/data",
        "PAIRPOST_SMTP__LISTEN": f"127.0.0.1:{behind}",
        "PAIRPOST_HTTP__LISTEN": "127.0.0.1:0",
        "PAIRPOST_DNS__SERVER": "127.0.0.1:%d" % names.server_address[1],
        "PAIRPOST_SMTP__TRUSTED_FRONT": "127.0.0.1",
        "PAIRPOST_SMTP__TRUSTED_AUTHSERV_ID": FRONT,
        "RUST_LOG": "off",
    }
    server = subprocess.Popen([program, "serve"], env=environment, stderr=subprocess.PIPE, text=True)
    wrong = 0
    try:
        next(line for line in server.stderr if line.startswith("ready "))
        forged_word = f"Authentication-Results: {FRONT}; dmarc=pass header.from=there.test; dkim=pass header.d=bare.test\r\n"
        with postfix(folder, port, behind):
            for what, at, host, sender, header, reply, then in [
                ("a letter whose domain names the client in SPF, under DMARC", port, "127.0.0.2", "ana@there.test", "", "250", "take"),
                ("one whose domain has SPF only", port, "127.0.0.2", "ben@spf-only.test", "", "250", "take"),
                ("a signed one, of a client that SPF does not name", port, "127.0.0.9", "cem@there.test", signed("cem@there.test"), "250", "take"),
                ("a forged one", port, "127.0.0.9", "eve@there.test", "", "550 5.7.26", None),
                ("a forged one with the front's word in it", port, "127.0.0.9", "eve2@there.test", forged_word, "550 5.7.26", None),
                ("the same of a domain without records", port, "127.0.0.9", "eve@bare.test", forged_word, "250", "hold"),
                ("a stranger beside the front, with its word", behind, "127.0.0.3", "eve3@there.test", forged_word, "550 5.7.26", None),
            ]:
                got = send(at, host, sender, header)
                held = "hold" in decision_on(sender) if then else None
                right = got.startswith(reply) and (then is None or held == (then == "hold"))
                wrong += not right
                print(f"{'right' if right else 'WRONG'}  {what}: {got[:60]} {'' if then is None else 'held' if held else 'trusted'}")
            with socket.create_connection(("127.0.0.1", behind), source_address=("127.0.0.3", 0)) as stream:
                stream.sendall(b"EHLO x.test\r\nXCLIENT ADDR=127.0.0.2\r\nXFORWARD ADDR=127.0.0.2\r\nQUIT\r\n")
                heard = b"".join(iter(lambda: stream.recv(4096), b"")).decode()
            right = heard.count("550 5.7.1") == 2 and "XCLIENT" not in heard
            wrong += not right
            print(f"{'right' if right else 'WRONG'}  a stranger's XCLIENT and XFORWARD are refused, and not announced")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(40)
        names.shutdown()
sys.exit(1 if wrong else 0)
