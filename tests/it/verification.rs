//! SPF, DKIM and DMARC asked for real: signatures by mail-auth, a resolver, a name server of the test.
use mail_auth::{
    common::{crypto::Ed25519Key, headers::HeaderWriter},
    dkim::DkimSigner,
};
use mail_builder::encoders::base64::Base64Encoder;
use pairpost::{
    domain::address::EmailAddress,
    mail::envelope::{
        AuthResult::{self, Fail, None as Nothing, Pass, TempError},
        Envelope, Policy, Verdict,
    },
    smtp::Verifier,
};

use crate::dns::{NameServer, zone};

const ZONE: &str = "
    # Everything in order.
    good.test TXT v=spf1 ip4:127.0.0.1 -all
    _dmarc.good.test TXT v=DMARC1; p=reject
    # The same without DMARC.
    bare.test TXT v=spf1 ip4:127.0.0.1 -all
    mail.bare.test TXT v=spf1 ip4:127.0.0.1 -all
    # Each policy.
    _dmarc.quarantine.test TXT v=DMARC1; p=quarantine
    _dmarc.watch.test TXT v=DMARC1; p=none
    # Strict alignment.
    _dmarc.strict.test TXT v=DMARC1; p=reject; aspf=s; adkim=s
    lists.strict.test TXT v=spf1 ip4:127.0.0.1 -all
    # A name server that is ill.
    ill.test SERVFAIL
    _dmarc.ill.test SERVFAIL
    key._domainkey.ill.test SERVFAIL
    # Somebody else, in order too.
    other.test TXT v=spf1 ip4:127.0.0.1 -all
";

struct Case {
    what: &'static str,
    from: &'static str,
    reverse_path: &'static str,
    peer: &'static str,
    signed_by: &'static [&'static str],
    tampered: bool,
    verdict: (AuthResult, AuthResult, AuthResult, Policy),
}

const PLAIN: Case = Case {
    what: "",
    from: "ana@good.test",
    reverse_path: "ana@good.test",
    peer: "127.0.0.1",
    signed_by: &[],
    tampered: false,
    verdict: (Pass, Nothing, Pass, Policy::Reject),
};

#[tokio::test]
async fn the_verdict_is_about_the_domain_of_the_header_from() {
    let key = Ed25519Key::generate_pkcs8().expect("a key");
    let public = Base64Encoder::new().encode(Ed25519Key::from_pkcs8_der(&key).expect("reads").public_key().as_slice()).expect("writes");
    let record = format!("TXT v=DKIM1; k=ed25519; p={}", String::from_utf8(public).expect("ASCII"));
    let signers = ["good.test", "bare.test", "news.good.test", "sub.strict.test", "strict.test", "other.test", "watch.test"];
    let keys: String = signers.iter().map(|domain| format!("key._domainkey.{domain} {record}\n")).collect();
    let server = NameServer::start(zone(&format!("{ZONE}{keys}"))).await;
    let verifier = Verifier::new(Some(server.address)).expect("a resolver");
    let table = [
        Case { what: "SPF passes", ..PLAIN },
        Case { what: "SPF fails, nothing signed", peer: "127.0.0.9", verdict: (Fail, Nothing, Fail, Policy::Reject), ..PLAIN },
        Case { what: "SPF fails, DKIM passes", peer: "127.0.0.9", signed_by: &["good.test"], verdict: (Fail, Pass, Pass, Policy::Reject), ..PLAIN },
        Case { what: "a subdomain signs", peer: "127.0.0.9", signed_by: &["news.good.test"], verdict: (Fail, Pass, Pass, Policy::Reject), ..PLAIN },
        Case {
            what: "signed, then changed",
            peer: "127.0.0.9",
            signed_by: &["good.test"],
            tampered: true,
            verdict: (Fail, Fail, Fail, Policy::Reject),
            ..PLAIN
        },
        Case {
            what: "one bad signature and one good",
            from: "ana@bare.test",
            reverse_path: "x@other.test",
            signed_by: &["other.test", "bare.test"],
            verdict: (Nothing, Pass, Nothing, Policy::Absent),
            ..PLAIN
        },
        Case {
            what: "somebody else's good name does not help: SPF",
            reverse_path: "eve@other.test",
            verdict: (Nothing, Nothing, Fail, Policy::Reject),
            ..PLAIN
        },
        Case {
            what: "somebody else's good name does not help: DKIM",
            reverse_path: "eve@other.test",
            signed_by: &["other.test"],
            verdict: (Nothing, Nothing, Fail, Policy::Reject),
            ..PLAIN
        },
        Case {
            what: "no DMARC record, SPF aligned",
            from: "ana@bare.test",
            reverse_path: "ana@bare.test",
            verdict: (Pass, Nothing, Nothing, Policy::Absent),
            ..PLAIN
        },
        Case {
            what: "no DMARC record, SPF of a subdomain",
            from: "ana@bare.test",
            reverse_path: "bounce@mail.bare.test",
            verdict: (Pass, Nothing, Nothing, Policy::Absent),
            ..PLAIN
        },
        Case {
            what: "no DMARC record, SPF of a stranger",
            from: "ana@bare.test",
            reverse_path: "eve@other.test",
            verdict: (Nothing, Nothing, Nothing, Policy::Absent),
            ..PLAIN
        },
        Case {
            what: "no DMARC record, DKIM aligned",
            from: "ana@bare.test",
            reverse_path: "ana@bare.test",
            peer: "127.0.0.9",
            signed_by: &["bare.test"],
            verdict: (Fail, Pass, Nothing, Policy::Absent),
            ..PLAIN
        },
        Case {
            what: "nothing published",
            from: "ana@nothing.test",
            reverse_path: "ana@nothing.test",
            verdict: (Nothing, Nothing, Nothing, Policy::Absent),
            ..PLAIN
        },
        Case {
            what: "quarantine",
            from: "ana@quarantine.test",
            reverse_path: "eve@other.test",
            verdict: (Nothing, Nothing, Fail, Policy::Quarantine),
            ..PLAIN
        },
        Case { what: "p=none", from: "ana@watch.test", reverse_path: "eve@other.test", verdict: (Nothing, Nothing, Fail, Policy::None), ..PLAIN },
        Case {
            what: "strict alignment wants the very domain",
            from: "ana@strict.test",
            reverse_path: "x@lists.strict.test",
            signed_by: &["sub.strict.test"],
            verdict: (Nothing, Nothing, Fail, Policy::Reject),
            ..PLAIN
        },
        Case {
            what: "and takes the very domain",
            from: "ana@strict.test",
            reverse_path: "x@lists.strict.test",
            signed_by: &["strict.test"],
            verdict: (Nothing, Pass, Pass, Policy::Reject),
            ..PLAIN
        },
        Case {
            what: "a name server that does not answer is no failure",
            from: "ana@ill.test",
            reverse_path: "ana@ill.test",
            verdict: (TempError, TempError, TempError, Policy::Absent),
            ..PLAIN
        },
        Case { what: "the null reverse-path is judged by the client's name", reverse_path: "", verdict: (Pass, Nothing, Pass, Policy::Reject), ..PLAIN },
    ];
    for case in table {
        let envelope =
            Envelope { peer: case.peer.parse().expect("an address"), helo: "good.test".to_owned(), reverse_path: EmailAddress::parse(case.reverse_path).ok() };
        let letter = format!("From: Ana <{}>\r\nTo: join@pairs.test\r\nSubject: hello\r\nMessage-ID: <1@x.test>\r\n\r\nHello\r\n", case.from);
        let mut raw = letter.clone();
        for domain in case.signed_by {
            let signer = DkimSigner::from_key(Ed25519Key::from_pkcs8_der(&key).expect("reads")).domain(*domain).selector("key").headers(["From", "Subject"]);
            raw.insert_str(0, &signer.sign(letter.as_bytes()).expect("signs").to_header());
        }
        if case.tampered {
            raw = raw.replace("Hello", "Hallo");
        }
        let writer = EmailAddress::parse(case.from).expect("an address");
        let (spf, dkim, dmarc, policy) = case.verdict;
        let found = verifier.verify(raw.as_bytes(), &writer, &envelope, "pairs.test").await;
        assert_eq!(found, Some(Verdict { spf, dkim, dmarc, policy }), "{}", case.what);
    }
}

#[tokio::test]
async fn a_letter_that_two_readers_read_differently_has_no_verdict() {
    let server = NameServer::start(zone(ZONE)).await;
    let verifier = Verifier::new(Some(server.address)).expect("a resolver");
    let writer = EmailAddress::parse("ana@good.test").expect("an address");
    let envelope = Envelope { peer: [127, 0, 0, 1].into(), helo: "good.test".to_owned(), reverse_path: Some(writer.clone()) };
    for head in ["From: eve@other.test", "From: ana@good.test\r\nFrom: eve@other.test", "From: ana@good.test, eve@other.test", "Subject: nobody"] {
        let raw = format!("{head}\r\n\r\nHello\r\n");
        assert_eq!(verifier.verify(raw.as_bytes(), &writer, &envelope, "pairs.test").await, None, "{head}");
    }
}
