//! What holds for whatever leaves: tried by tests at each change, and by libFuzzer (`tests/fuzz`) for as long as somebody likes.
use super::{
    hop::stuffed,
    sign::{Signed, travelling},
};

/// Any octets as a letter: what travels can be read in one way only (RFC 5321 2.3.8, 4.5.2; RFC 5322 2.1.1), and holds what the letter held.
pub fn outgoing(raw: &[u8]) {
    let signed = Signed { signature: "DKIM-Signature: v=1\r\n".into(), letter: travelling(raw) };
    let travels: Vec<u8> = stuffed(&signed).collect::<Vec<_>>().concat();
    let end = travels.windows(5).position(|five| five == b"\r\n.\r\n").expect("it ends");
    assert_eq!(end + 5, travels.len(), "it ends once");
    let mut received = Vec::new();
    for line in travels[..end + 2].split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r\n").expect("a line ends in CR LF");
        let line = line.strip_prefix(b".").unwrap_or(line);
        assert!(line.len() <= 998 && !line.contains(&b'\r'), "{:?}", String::from_utf8_lossy(line));
        received.extend_from_slice(line);
        received.extend_from_slice(b"\r\n");
    }
    assert_eq!(received, [signed.signature.as_bytes(), &signed.letter].concat());
    let words = |letter: &[u8]| letter.iter().copied().filter(|byte| !b"\r\n \t".contains(byte)).collect::<Vec<_>>();
    assert_eq!(words(&signed.letter), words(raw));
    assert_eq!(fields(&signed.letter), fields(raw), "no field is begun");
}

/// Lines of the header that begin a field, whatever its lines end in.
fn fields(letter: &[u8]) -> usize {
    let lines = String::from_utf8_lossy(letter).replace("\r\n", "\n").replace('\r', "\n");
    lines.split('\n').take_while(|line| !line.is_empty()).filter(|line| !line.starts_with([' ', '\t'])).count()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_leaves_can_be_read_in_one_way_only(pieces in vec((0..1100_usize, select(&["", " ", "\r", "\n", "\r\n", "\r\n.", ".", "\u{e9}", "A: ", "\r\n\r\n"][..])), 0..12)) {
            let raw: String = pieces.into_iter().map(|(length, piece)| format!("{}{piece}", "x".repeat(length.saturating_sub(80)))).collect();
            outgoing(raw.as_bytes());
        }
    }
}
