//! Text that a mail client has wrapped softly (RFC 3676), made paragraphs again.

/// Undoes `format=flowed`: a line that ends in a blank goes on in the next one of the same quoting depth; with `del_sp` that blank was added by the
/// client and goes. Space-stuffing goes; quoted paragraphs come out as one line after `> `.
pub fn unflow(text: &str, del_sp: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut open: Option<usize> = None; // the depth of a paragraph that is still flowing
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let depth = line.bytes().take_while(|&b| b == b'>').count();
        let content = &line[depth..];
        let content = content.strip_prefix(' ').unwrap_or(content);
        // RFC 3676 4.3: the signature's line ends in a blank and still stands alone.
        let is_signature = content == "-- ";
        if open.is_some_and(|d| d != depth || is_signature) {
            out.push('\n');
            open = None;
        }
        if open.is_none() && depth > 0 {
            (0..depth).for_each(|_| out.push('>'));
            out.push(' ');
        }
        if content.ends_with(' ') && !is_signature {
            out.push_str(if del_sp { &content[..content.len() - 1] } else { content });
            open = Some(depth);
        } else {
            out.push_str(content);
            out.push('\n');
            open = None;
        }
    }
    // The last piece of `split` is no line of its own.
    if open.is_none() {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unflow;

    #[test]
    fn soft_breaks_join_within_one_depth_only() {
        for (flowed, expected) in [
            ("Dear Ana, \r\nI write \r\nat length.\r\nNew line.\r\n", "Dear Ana, I write at length.\nNew line.\n"),
            ("> you asked \n> me\nYes.\n", "> you asked me\nYes.\n"),
            ("> one \n>> two \n> three\n", "> one \n>> two \n> three\n"),
            (" From here\n  two blanks\n", "From here\n two blanks\n"),
            ("words \n-- \nAna \nLibrarian\n", "words \n-- \nAna Librarian\n"),
            ("ends open ", "ends open "),
            ("", ""),
        ] {
            assert_eq!(unflow(flowed, false), expected, "{flowed:?}");
        }
        assert_eq!(unflow("図書 \n館\n", true), "図書館\n");
    }
}
