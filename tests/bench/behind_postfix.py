"""Pairpost behind Debian's Postfix: see tests/bench/behind-postfix."""

import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

from front_kit import DOMAIN, ZONE, free_port, judge, judge_letter, pairpost, said

program = sys.argv[1]
FRONT = "front.test"


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


with tempfile.TemporaryDirectory(prefix="pairpost-front-") as name:
    folder = pathlib.Path(name)
    folder.chmod(0o755)
    port, behind = free_port(), free_port()
    settings = {"PAIRPOST_SMTP__TRUSTED_FRONT": "127.0.0.1", "PAIRPOST_SMTP__TRUSTED_AUTHSERV_ID": FRONT}
    wrong = 0
    forged_word = f"Authentication-Results: {FRONT}; dmarc=pass header.from=there.test; dkim=pass header.d=bare.test\r\n"
    with pairpost(program, folder, behind, settings) as environment, postfix(folder, port, behind):
        for case in [
            ("a letter whose domain names the client in SPF, under DMARC", port, "127.0.0.2", "ana@there.test", "", "250", "take"),
            ("one whose domain has SPF only", port, "127.0.0.2", "ben@spf-only.test", "", "250", "take"),
            ("a signed one, of a client that SPF does not name", port, "127.0.0.9", "cem@there.test", signed("cem@there.test"), "250", "take"),
            ("a forged one", port, "127.0.0.9", "eve@there.test", "", "550 5.7.26", None),
            ("a forged one with the front's word in it", port, "127.0.0.9", "eve2@there.test", forged_word, "550 5.7.26", None),
            ("the same of a domain without records", port, "127.0.0.9", "eve@bare.test", forged_word, "250", "hold"),
            ("a stranger beside the front, with its word", behind, "127.0.0.3", "eve3@there.test", forged_word, "550 5.7.26", None),
        ]:
            wrong += judge_letter(program, environment, *case)
        heard = said(behind, "127.0.0.3", b"EHLO x.test\r\nXCLIENT ADDR=127.0.0.2\r\nXFORWARD ADDR=127.0.0.2\r\nQUIT\r\n")
        wrong += judge("a stranger's XCLIENT and XFORWARD", heard.count("550 5.7.1") == 2 and "XCLIENT" not in heard, "refused, and not announced")
sys.exit(1 if wrong else 0)
