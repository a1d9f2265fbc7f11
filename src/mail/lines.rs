//! The lines of a letter, found many octets at a time: a large letter is gone through several times on its way.
use memchr::{memchr, memchr_iter, memchr2};

/// Each line with its LF, the last one without where it has none.
pub fn lines(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then_some(line)
    })
}

/// Where the first line ends, behind its CR LF.
pub fn end_of_line(raw: &[u8]) -> Option<usize> {
    memchr_iter(b'\n', raw).find(|&at| at > 0 && raw[at - 1] == b'\r').map(|at| at + 1)
}

/// A CR or LF that is no part of a CR LF (RFC 5322 2.3).
pub fn has_bare_newline(mut raw: &[u8]) -> bool {
    while let Some(at) = memchr2(b'\r', b'\n', raw) {
        match raw[at..].strip_prefix(b"\r\n") {
            Some(after) => raw = after,
            None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_their_ends_are_found() {
        for (raw, whole, end) in [
            ("", &[][..], None),
            ("a", &["a"], None),
            ("a\nb", &["a\n", "b"], None),
            ("\n\r\nb\r\n", &["\n", "\r\n", "b\r\n"], Some(3)),
            ("a\r\nb", &["a\r\n", "b"], Some(3)),
        ] {
            let found: Vec<_> = lines(raw.as_bytes()).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
            assert_eq!((found, end_of_line(raw.as_bytes())), (whole.iter().map(|line| (*line).to_owned()).collect(), end), "{raw:?}");
        }
    }
}
