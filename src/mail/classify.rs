//! What kind of letter came: only a personal one ever gets an answer (RFC 3834).

use serde::Serialize;

use super::bounce;
use super::message::Message;
use super::phrases::ABSENCE_SUBJECTS;

/// The kind of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A person wrote it. The only kind that is answered.
    Personal,
    /// A program wrote it, or a list sent it to many.
    AutoReply(Sign),
    /// A mail server says what became of a letter (RFC 3464, or in words of its own).
    Bounce,
    /// A report about mail.
    Report(Report),
    /// A receipt: displayed, deleted (RFC 8098).
    Receipt,
    /// One emoji as an answer (RFC 9078, and Gmail's own form of it).
    Reaction,
    /// A letter of our own that came back, or one that has been on its way in a circle.
    Loop,
}

impl Class {
    /// One word for the record.
    pub fn name(self) -> &'static str {
        match self {
            Class::Personal => "personal",
            Class::AutoReply(_) => "automatic",
            Class::Bounce => "bounce",
            Class::Report(_) => "report",
            Class::Receipt => "receipt",
            Class::Reaction => "reaction",
            Class::Loop => "loop",
        }
    }
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Somebody called a letter of ours spam (ARF, RFC 5965).
    Complaint,
    /// Aggregates of DMARC (RFC 9990), or failures (RFC 9991).
    Dmarc,
    /// TLS reporting (RFC 8460).
    Tls,
}

/// By what a letter is known to be automatic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// Auto-Submitted other than `no` (RFC 3834 5).
    AutoSubmitted,
    /// The null reverse-path, on a letter that tells of no delivery (RFC 3834 2).
    NullPath,
    /// Precedence: bulk, junk, list, auto_reply.
    Precedence,
    /// A field of RFC 2369 or 2919: it went to a list.
    List,
    /// X-Autoreply, X-Autorespond, X-Auto-Reply-From and the like; X-Loop, by which programs know their own letters again.
    XAutoReply,
    /// X-Auto-Response-Suppress (Exchange): it asks for no automatic answer.
    ResponseSuppress,
    /// It comes from a mailbox that nobody reads: MAILER-DAEMON, no-reply.
    Sender,
    /// The subject begins with the words of an absence note.
    Subject,
}

impl Sign {
    /// The reason in words.
    pub fn why(self) -> &'static str {
        match self {
            Sign::AutoSubmitted => "the field Auto-Submitted says so",
            Sign::NullPath => "it has the null reverse-path",
            Sign::Precedence => "the field Precedence says so",
            Sign::List => "it was sent to a mailing list",
            Sign::XAutoReply => "a field of automatic replies is set",
            Sign::ResponseSuppress => "the field X-Auto-Response-Suppress asks for no answer",
            Sign::Sender => "it comes from a mailbox that sends but does not read",
            Sign::Subject => "the subject is that of an automatic reply",
        }
    }
}

/// More Received fields than any letter on a straight way has (RFC 5321 6.3 lets us count).
const MAX_HOPS: usize = 30;

/// Whether the letter itself says that its reverse-path was null: where only the bytes are known, Return-Path speaks for the envelope.
pub fn says_null_path(message: &Message) -> bool {
    message.field("return-path").is_some_and(|path| path.trim() == "<>")
}

/// The kind of a letter. `null_path`: it came with the null reverse-path. `own_domain` is the mail domain of the programme: whatever carries it in From or
/// Message-ID is a letter of ours that came back.
pub fn classify(null_path: bool, message: &Message, own_domain: &str) -> Class {
    if let Some(class) = structured(message) {
        return class;
    }
    if is_our_own(message, own_domain) || message.field_count("received") > MAX_HOPS {
        return Class::Loop;
    }
    if is_reaction(message) {
        return Class::Reaction;
    }
    if is_absence_subject(&message.subject) {
        return Class::AutoReply(Sign::Subject);
    }
    // Before the general signs: many bounces carry them too.
    if bounce::is_in_words(message, null_path) {
        return Class::Bounce;
    }
    match sign(message, null_path) {
        Some(sign) => Class::AutoReply(sign),
        None => Class::Personal,
    }
}

/// The kinds that MIME structure tells: `multipart/report` (RFC 6522) and its relatives.
fn structured(message: &Message) -> Option<Class> {
    let has = |kind: &str| message.part(kind).is_some();
    let top = message.content_type().unwrap_or_default();
    let report_type = message.field("content-type").and_then(|value| parameter(value, "report-type")).unwrap_or_default();
    let class = match report_type.as_str() {
        "delivery-status" => Class::Bounce,
        "feedback-report" => complaint(message),
        "disposition-notification" => receipt(message),
        "tlsrpt" => Class::Report(Report::Tls),
        _ if has("message/feedback-report") => complaint(message),
        _ if has("message/disposition-notification") => receipt(message),
        // A person may attach a bounce to a letter; a server says so at the top, or has nothing else to say.
        _ if (has("message/delivery-status") || has("message/global-delivery-status")) && (top == "multipart/report" || is_daemon(message)) => Class::Bounce,
        _ if has("application/tlsrpt+gzip") || has("application/tlsrpt+json") => Class::Report(Report::Tls),
        _ if is_dmarc_aggregate(message) => Class::Report(Report::Dmarc),
        _ => return None,
    };
    Some(class)
}

/// RFC 8098; but a server that deletes a letter unread (`automatic-action … deleted`), because the mailbox is full, tells of a failure.
fn receipt(message: &Message) -> Class {
    let text = message.part("message/disposition-notification").and_then(|p| p.text.as_deref()).unwrap_or_default().to_ascii_lowercase();
    let disposition = text.lines().find_map(|l| l.strip_prefix("disposition:")).unwrap_or_default();
    let dropped = disposition.contains("automatic-action") && disposition.contains("deleted") && message.subject.to_lowercase().contains("rejected");
    if dropped { Class::Bounce } else { Class::Receipt }
}

/// RFC 9991 uses the container of ARF with a feedback type of its own.
fn complaint(message: &Message) -> Class {
    let text = message.part("message/feedback-report").and_then(|p| p.text.as_deref()).unwrap_or_default();
    let is_auth_failure = text.lines().any(|l| {
        l.split_once(':').is_some_and(|(name, value)| name.trim().eq_ignore_ascii_case("feedback-type") && value.trim().eq_ignore_ascii_case("auth-failure"))
    });
    Class::Report(if is_auth_failure { Report::Dmarc } else { Report::Complaint })
}

/// RFC 9990: a compressed XML whose name is `receiver!domain!begin!end.xml.gz`, or a subject of the form it prescribes.
fn is_dmarc_aggregate(message: &Message) -> bool {
    let named = message.parts.iter().filter_map(|p| p.filename.as_deref()).any(|name| {
        let lower = name.to_ascii_lowercase();
        name.matches('!').count() >= 3 && [".xml", ".gz", ".zip"].iter().any(|end| lower.ends_with(end))
    });
    let subject = message.subject.to_ascii_lowercase();
    named || (subject.contains("report domain:") && subject.contains("submitter:"))
}

fn is_our_own(message: &Message, own_domain: &str) -> bool {
    let of_ours = |domain: &str| domain.eq_ignore_ascii_case(own_domain);
    message.from.as_ref().is_some_and(|from| of_ours(from.domain()))
        || message.message_id.as_deref().and_then(|id| id.rsplit_once('@')).is_some_and(|(_, domain)| of_ours(domain))
        || message.field("x-loop").and_then(|mark| mark.trim().rsplit_once('@')).is_some_and(|(_, domain)| of_ours(domain.trim_end_matches('>')))
}

fn is_reaction(message: &Message) -> bool {
    message.parts.iter().any(|p| p.disposition.as_deref() == Some("reaction") || p.content_type == "text/vnd.google.email-reaction+json")
}

fn sign(message: &Message, null_path: bool) -> Option<Sign> {
    let says = |field: &str, words: &[&str]| {
        message.field(field).is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.split([',', ';', ' ']).any(|word| words.contains(&word.trim()))
        })
    };
    let any = |names: &[&str]| names.iter().any(|name| message.field(name).is_some());
    // "no" may carry comments and parameters (RFC 3834 5.2).
    let auto_submitted = message.field("auto-submitted").and_then(|v| v.split([';', '(', ' ']).find(|w| !w.is_empty()).map(str::to_ascii_lowercase));
    if auto_submitted.is_some_and(|value| value != "no") {
        Some(Sign::AutoSubmitted)
    } else if any(&["x-autoreply", "x-autorespond", "x-autoreply-from", "x-auto-reply-from", "x-mail-autoreply", "x-autogenerated", "x-vacation", "x-loop"])
        || says("x-precedence", &["auto_reply"])
        || says("x-pmrqc", &["1"])
        || says("delivered-to", &["autoresponder"])
    {
        Some(Sign::XAutoReply)
    } else if says("precedence", &["bulk", "junk", "list", "auto_reply", "auto-reply"]) || says("x-precedence", &["bulk", "junk", "list"]) {
        Some(Sign::Precedence)
    } else if says("x-auto-response-suppress", &["all", "oof", "autoreply"]) {
        Some(Sign::ResponseSuppress)
    } else if any(&["list-id", "list-unsubscribe", "list-post", "list-help", "list-subscribe", "list-owner", "list-archive", "mailing-list", "x-mailing-list"])
    {
        Some(Sign::List)
    } else if null_path {
        Some(Sign::NullPath)
    } else if is_daemon(message) || is_no_reply(message) {
        Some(Sign::Sender)
    } else {
        None
    }
}

/// RFC 3834 2: addresses that no person stands behind. `postmaster` is one where it writes by itself, which a bounce tells.
fn is_daemon(message: &Message) -> bool {
    let local = message.from.as_ref().map(|from| from.local().to_ascii_lowercase()).unwrap_or_default();
    let of_a_list = ["majordomo", "listserv", "mailman"].contains(&local.as_str()) || local.starts_with("owner-") || local.ends_with("-owner");
    // Some servers write `From: Mail Delivery Subsystem <MAILER-DAEMON>`, without a domain.
    local.starts_with("mailer-daemon")
        || local.ends_with("-bounces")
        || local == "bounces"
        || of_a_list
        || (message.from.is_none() && message.field("from").is_some_and(|f| f.to_ascii_lowercase().contains("mailer-daemon")))
}

fn is_no_reply(message: &Message) -> bool {
    let local = message.from.as_ref().map(|from| from.local().to_ascii_lowercase()).unwrap_or_default();
    let local: String = local.chars().filter(char::is_ascii_alphanumeric).collect();
    ["noreply", "donotreply", "nepasrepondre", "noresponder", "naoresponda"].iter().any(|n| local == *n || (local.starts_with(n) && local.len() <= n.len() + 8))
}

/// The subject is that of an absence note.
fn is_absence_subject(subject: &str) -> bool {
    let subject = subject.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '[' | '(' | '*' | '"' | '【')).to_lowercase();
    // Gmail and others put it as "Auto: <subject>", and as a prefix in other languages.
    ABSENCE_SUBJECTS.iter().any(|start| subject.starts_with(start)) || subject.starts_with("auto:") || subject.starts_with("ooo:")
}

/// A parameter of a structured field, in lower case, without quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    let found = value.split(';').skip(1).filter_map(|p| p.split_once('=')).find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?.1;
    Some(found.trim().trim_matches('"').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "pairs.test";

    fn class_of(fields: &str, body: &str) -> Class {
        let from = if fields.contains("From:") { "" } else { "From: Ana <ana@example.org>\n" };
        let message = Message::parse(format!("{from}{fields}\n\n{body}").as_bytes());
        classify(says_null_path(&message), &message, OURS)
    }

    #[test]
    fn letters_of_people_are_personal() {
        for fields in [
            "Subject: Hello",
            "Subject: Re: Automatic reply: your letter",
            "Subject: Automated cataloguing at our library",
            "Subject: Autumn plans",
            "Auto-Submitted: no",
            "Auto-Submitted: No (a person)",
            "Precedence: normal",
            "Subject: My letter could not be delivered?",
            "X-Auto-Response-Suppress: DR, NDR",
            "From: Post Master <postmaster@example.org>\nSubject: Our mail server",
            "From: Bo Reply <noreen.reply@example.org>",
            "Return-Path: <ana@example.org>",
            "Content-Type: multipart/mixed; boundary=b",
        ] {
            assert_eq!(class_of(fields, "Dear Bo,\nhow are you?"), Class::Personal, "{fields}");
        }
    }

    #[test]
    fn automatic_letters_are_known_by_their_signs() {
        for (fields, sign) in [
            ("Auto-Submitted: auto-replied", Sign::AutoSubmitted),
            ("auto-submitted: (rfc 3834) auto-generated; x=y", Sign::AutoSubmitted),
            ("Precedence: bulk", Sign::Precedence),
            ("Precedence: auto_reply", Sign::Precedence),
            ("X-Autoreply: yes", Sign::XAutoReply),
            ("X-Auto-Response-Suppress: DR, OOF, AutoReply", Sign::ResponseSuppress),
            ("X-Auto-Response-Suppress: All", Sign::ResponseSuppress),
            ("X-Loop: answers@example.org", Sign::XAutoReply),
            ("List-Id: <librarians.example.org>", Sign::List),
            ("List-Archive: <https://example.org>", Sign::List),
            ("From: owner-librarians@example.org", Sign::Sender),
            ("From: librarians-bounces@example.org", Sign::Sender),
            ("From: LISTSERV@example.org", Sign::Sender),
            ("List-Unsubscribe: <mailto:x@example.org>", Sign::List),
            ("Return-Path: <>\nSubject: Hello", Sign::NullPath),
            ("From: no-reply@example.org", Sign::Sender),
            ("From: MAILER-DAEMON@example.org\nSubject: hello", Sign::Sender),
            ("Subject: Automatic reply: Your partner", Sign::Subject),
            ("Subject: Automatische Antwort: Hallo", Sign::Subject),
            ("Subject: =?utf-8?Q?R=C3=A9ponse_automatique=C2=A0:_Bonjour?=", Sign::Subject),
            ("Subject: =?utf-8?B?6Ieq5YqV5Zue5aSNOiBIaQ==?=\nX-Autoreply: 1", Sign::XAutoReply),
            ("Subject: =?utf-8?B?6Ieq5Yqo5Zue5aSNOiBIaQ==?=", Sign::Subject),
            ("Subject: Auto: away", Sign::Subject),
        ] {
            assert_eq!(class_of(fields, "I am away until Monday."), Class::AutoReply(sign), "{fields}");
        }
    }

    #[test]
    fn the_envelope_speaks_before_the_header() {
        let message = Message::parse(b"Return-Path: <ana@example.org>\nFrom: ana@example.org\nSubject: hi\n\nhi");
        assert_eq!(classify(true, &message, OURS), Class::AutoReply(Sign::NullPath));
        assert_eq!(classify(false, &message, OURS), Class::Personal);
    }

    #[test]
    fn reports_receipts_and_reactions_are_told_by_structure() {
        let report = |kind: &str| format!("Content-Type: multipart/report; report-type=\"{kind}\"; boundary=b");
        let part = |kind: &str, text: &str| format!("--b\nContent-Type: {kind}\n\n{text}\n--b--\n");
        for (fields, body, class) in [
            (report("delivery-status"), part("message/delivery-status", "Reporting-MTA: dns; x"), Class::Bounce),
            (report("feedback-report"), part("message/feedback-report", "Feedback-Type: abuse"), Class::Report(Report::Complaint)),
            (report("feedback-report"), part("message/feedback-report", "Feedback-Type: auth-failure"), Class::Report(Report::Dmarc)),
            (report("disposition-notification"), part("message/disposition-notification", "Disposition: x"), Class::Receipt),
            (report("tlsrpt"), part("application/tlsrpt+gzip", "x"), Class::Report(Report::Tls)),
            ("Subject: Report Domain: pairs.test Submitter: mail.example Report-ID: <1>".into(), String::new(), Class::Report(Report::Dmarc)),
            (
                "Content-Type: application/gzip; name=\"mail.example!pairs.test!1!2.xml.gz\"\nContent-Disposition: attachment".into(),
                "x".into(),
                Class::Report(Report::Dmarc),
            ),
            ("Content-Type: text/plain; charset=utf-8\nContent-Disposition: reaction".into(), "👍".into(), Class::Reaction),
            ("Content-Type: multipart/mixed; boundary=b".into(), part("message/delivery-status", "Final-Recipient: rfc822; x@y.example"), Class::Personal),
        ] {
            assert_eq!(class_of(&fields, &body), class, "{fields}\n{body}");
        }
    }

    #[test]
    fn our_own_letters_coming_back_are_loops() {
        assert_eq!(class_of("From: Pairpost <help@pairs.test>", ""), Class::Loop);
        assert_eq!(class_of("Message-ID: <1.x@PAIRS.test>\nSubject: Fwd: yours", ""), Class::Loop);
        assert_eq!(class_of(&"Received: from a by b; Mon, 2 Mar 2026 10:00:00 +0000\n".repeat(31), ""), Class::Loop);
        assert_eq!(class_of("X-Loop: help@Pairs.test", ""), Class::Loop);
        assert_eq!(class_of("From: Ill Request <ill-request@example.org>", "a letter"), Class::Personal);
        assert_eq!(class_of("In-Reply-To: <1.x@pairs.test>", "an answer"), Class::Personal);
    }
}
