//! What a mail server in front of us found out about a letter's origin, in its `Authentication-Results` field (RFC 8601).
use super::envelope::{AuthResult, Policy, Verdict, is_related};

/// The verdict that the server called `authserv_id` wrote into the header, on a letter that says it is from somebody at `from`. `None` where it wrote none.
///
/// Only the topmost field of that name counts: servers write theirs above what was there, so one below it came with the letter, whoever wrote it.
pub fn verdict(header: &[u8], authserv_id: &str, from: &str) -> Option<Verdict> {
    fields(header).find_map(|value| Results::read(&value).filter(|results| results.id.eq_ignore_ascii_case(authserv_id))).map(|results| results.fold(from))
}

/// The unfolded values of all such fields, from the top.
fn fields(header: &[u8]) -> impl Iterator<Item = String> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut inside = false;
    for line in header.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.first() {
            None => break,
            Some(b' ' | b'\t') => {
                if let Some(last) = found.last_mut().filter(|_| inside) {
                    last.extend(line);
                }
            }
            Some(_) => {
                let value = line.iter().position(|&byte| byte == b':').filter(|&colon| line[..colon].trim_ascii().eq_ignore_ascii_case(NAME));
                inside = value.is_some();
                found.extend(value.map(|colon| line[colon + 1..].to_vec()));
            }
        }
    }
    found.into_iter().map(|value| String::from_utf8_lossy(&value).into_owned())
}

const NAME: &[u8] = b"authentication-results";

/// One field, read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Results {
    id: String,
    found: Vec<Found>,
}

/// What one method found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    method: String,
    result: String,
    /// `smtp.mailfrom`, `header.d` … and their values.
    properties: Vec<(String, String)>,
    comments: String,
}

impl Results {
    fn read(value: &str) -> Option<Self> {
        let mut parts = split(value).into_iter();
        // Behind the name may stand a version.
        let id = parts.next()?.words.split_whitespace().next()?.to_owned();
        let found = parts.filter_map(Found::read).collect();
        if id.contains('=') { None } else { Some(Self { id, found }) }
    }

    /// Folded as our own findings are: what passed counts for a domain that it belongs to.
    fn fold(&self, from: &str) -> Verdict {
        let dmarc = self.of("dmarc").find(|found| found.property("header.from").is_none_or(|domain| domain.eq_ignore_ascii_case(from)));
        let policy = dmarc.map_or(Policy::Absent, Found::policy);
        let dmarc = dmarc.map_or(AuthResult::None, |found| read(&found.result));
        // DMARC has judged the alignment; without it, a domain and those below it speak for each other.
        let counts = dmarc != AuthResult::Fail;
        let spf = self.of("spf").filter(|found| {
            let domain =
                found.property("smtp.mailfrom").or(found.property("smtp.helo")).map(|value| value.rsplit_once('@').map_or(value, |(_, domain)| domain));
            domain.is_some_and(|domain| is_related(from, domain))
        });
        let dkim = self.of("dkim").filter(|found| {
            let domain = found.property("header.d").or_else(|| found.property("header.i").and_then(|id| id.rsplit_once('@')).map(|(_, domain)| domain));
            domain.is_some_and(|domain| is_related(from, domain))
        });
        Verdict { spf: best(spf, counts), dkim: best(dkim, counts), dmarc, policy }
    }

    fn of(&self, method: &str) -> impl Iterator<Item = &Found> {
        self.found.iter().filter(move |found| found.method == method)
    }
}

impl Found {
    fn read(part: Part) -> Option<Self> {
        let mut words = part.words.split_whitespace().filter_map(|word| word.split_once('='));
        let (method, result) = words.next()?;
        // `method/version`.
        let method = method.split('/').next()?.to_ascii_lowercase();
        let properties = words.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Some(Self { method, result: result.to_ascii_lowercase(), properties, comments: part.comments.to_ascii_lowercase() })
    }

    fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What the domain asks for stands in `policy.…` or in a comment, as `p=reject`.
    fn policy(&self) -> Policy {
        let commented = self.comments.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')')).find_map(|word| word.strip_prefix("p="));
        let asked = self.property("policy.published-domain-policy").or(self.property("policy.dmarc")).or(commented);
        match asked.map(str::to_ascii_lowercase).as_deref() {
            Some("reject") => Policy::Reject,
            Some("quarantine") => Policy::Quarantine,
            Some(_) => Policy::None,
            None if self.result == "none" => Policy::Absent,
            None => Policy::None,
        }
    }
}

/// RFC 8601 2.7, folded.
fn read(result: &str) -> AuthResult {
    match result {
        "pass" => AuthResult::Pass,
        "fail" | "hardfail" => AuthResult::Fail,
        "temperror" => AuthResult::TempError,
        _ => AuthResult::None,
    }
}

fn best<'a>(found: impl Iterator<Item = &'a Found>, passes_count: bool) -> AuthResult {
    let results: Vec<_> = found.map(|found| read(&found.result)).collect();
    let has = |wanted| results.contains(&wanted);
    match () {
        () if has(AuthResult::Pass) && passes_count => AuthResult::Pass,
        () if has(AuthResult::TempError) => AuthResult::TempError,
        () if has(AuthResult::Fail) => AuthResult::Fail,
        () => AuthResult::None,
    }
}

/// What stands between two semicolons: its words, with nothing around `=`, and its comments.
#[derive(Debug, Default)]
struct Part {
    words: String,
    comments: String,
}

fn split(value: &str) -> Vec<Part> {
    let mut parts = vec![Part::default()];
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for c in value.chars() {
        let Some(part) = parts.last_mut() else { break };
        match c {
            c if escaped => {
                escaped = false;
                if depth > 0 { &mut part.comments } else { &mut part.words }.push(c);
            }
            '\\' if quoted || depth > 0 => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => {
                depth += 1;
                part.comments.push(' ');
                part.words.push(' ');
            }
            ')' if !quoted && depth > 0 => depth -= 1,
            c if depth > 0 => part.comments.push(c),
            ';' if !quoted => parts.push(Part::default()),
            // A quoted value is one word.
            c if quoted && c.is_whitespace() => part.words.push('_'),
            c => part.words.push(c),
        }
    }
    for part in &mut parts {
        let tight = part.words.split('=').map(str::trim).collect::<Vec<_>>().join("=");
        part.words = tight;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &str) -> Option<Verdict> {
        verdict(
            format!("{}\r\n\r\nAuthentication-Results: mx.front.test; spf=pass smtp.mailfrom=example.org\r\n", fields.replace('\n', "\r\n")).as_bytes(),
            "mx.front.test",
            "example.org",
        )
    }

    #[test]
    fn what_the_front_found_is_folded_as_our_own_findings_are() {
        use AuthResult::{Fail, None as Nothing, Pass, TempError};
        for (field, spf, dkim, dmarc, policy) in [
            ("spf=pass smtp.mailfrom=ana@example.org", Pass, Nothing, Nothing, Policy::Absent),
            ("spf=pass smtp.mailfrom=bounces.example.org", Pass, Nothing, Nothing, Policy::Absent),
            ("spf=pass smtp.mailfrom=eve@elsewhere.test", Nothing, Nothing, Nothing, Policy::Absent),
            ("spf=pass", Nothing, Nothing, Nothing, Policy::Absent),
            ("spf=pass smtp.helo=mail.example.org", Pass, Nothing, Nothing, Policy::Absent),
            ("dkim=pass (2048-bit key; unprotected) header.d=example.org header.b=abc", Nothing, Pass, Nothing, Policy::Absent),
            ("dkim = pass header.i = @example.org", Nothing, Pass, Nothing, Policy::Absent),
            ("dkim=fail header.d=example.org;\n\tdkim=pass header.d=\"example.org\"", Nothing, Pass, Nothing, Policy::Absent),
            ("dkim=pass header.d=esp.test", Nothing, Nothing, Nothing, Policy::Absent),
            ("dmarc=pass (p=REJECT sp=NONE dis=NONE) header.from=example.org", Nothing, Nothing, Pass, Policy::Reject),
            ("dmarc=pass header.from=other.test", Nothing, Nothing, Nothing, Policy::Absent),
            ("dmarc=fail (p=quarantine dis=none) header.from=example.org; spf=pass smtp.mailfrom=x.example.org", Nothing, Nothing, Fail, Policy::Quarantine),
            ("dmarc=fail header.from=example.org", Nothing, Nothing, Fail, Policy::None),
            ("dmarc/1=fail policy.published-domain-policy=reject header.from=example.org", Nothing, Nothing, Fail, Policy::Reject),
            ("dmarc=none header.from=example.org; spf=temperror smtp.mailfrom=example.org", TempError, Nothing, Nothing, Policy::Absent),
            ("spf=softfail smtp.mailfrom=example.org; dkim=permerror header.d=example.org", Nothing, Nothing, Nothing, Policy::Absent),
            ("none", Nothing, Nothing, Nothing, Policy::Absent),
        ] {
            let expected = Verdict { spf, dkim, dmarc, policy };
            assert_eq!(of(&format!("Authentication-Results: mx.front.test 1;\n {field}\nFrom: ana@example.org")), Some(expected), "{field}");
        }
    }

    #[test]
    fn nobody_else_speaks_in_the_fronts_name() {
        let pass = "spf=pass smtp.mailfrom=example.org";
        for fields in [
            "From: ana@example.org".to_owned(),
            format!("Authentication-Results: elsewhere.test; {pass}"),
            format!("Authentication-Results: mx.front.test.evil.test; {pass}"),
            format!("X-Authentication-Results: mx.front.test; {pass}"),
            format!("Authentication-Results: {pass}"),
            format!("Authentication-Results: (mx.front.test) evil.test; {pass}"),
            format!("Subject: x\n Authentication-Results: mx.front.test; {pass}"),
        ] {
            assert_eq!(of(&fields), None, "{fields}");
        }
        let nothing = Some(Verdict::NOTHING);
        assert_eq!(of(&format!("authentication-results: MX.front.test; none\nAuthentication-Results: mx.front.test; {pass}")), nothing, "the topmost counts");
        assert_eq!(of("Authentication-Results: mx.front.test; none (spf=pass smtp.mailfrom=example.org)"), nothing);
        assert_eq!(of("Authentication-Results: mx.front.test; x=\"; spf=pass smtp.mailfrom=example.org\""), nothing);
    }
}
