//! A small photograph of a bookshelf, drawn in code, with what cameras write beside the picture: whose it is, and which computer it was on.

/// Blocks of 8 × 8 points in a row of the picture, and rows.
const WIDE: u8 = 20;
const HIGH: u8 = 12;
/// The backs of the books, from left to right, lighter or darker than grey: neighbours differ by one step, and both ends are grey.
const BOOKS: [i32; WIDE as usize] = [0, 1, 0, -1, 0, 1, 1, 0, -1, -1, 0, 1, 0, 0, -1, 0, 1, 1, 0, 0];
/// Rows that are boards.
const BOARDS: [u8; 3] = [0, 6, 11];
/// Steps of grey between two blocks; it needs six bits (T.81 F.1.2.1).
const STEP: i32 = 40;

/// A JPEG (ITU-T T.81, baseline, grey) with an Exif segment that names `artist` and `computer`.
pub fn of_a_bookshelf(artist: &str, computer: &str) -> Vec<u8> {
    let mut jpeg = vec![0xff, 0xd8];
    segment(&mut jpeg, 0xe1, &exif(artist, computer));
    // Quantisation by 8 throughout: a DC difference is then a difference of grey.
    segment(&mut jpeg, 0xdb, &[&[0][..], &[8; 64]].concat());
    segment(&mut jpeg, 0xc0, &[8, 0, HIGH * 8, 0, WIDE * 8, 1, 1, 0x11, 0]);
    // DC: "0" is no difference, "10" one of six bits. AC: "0" ends the block at once.
    segment(&mut jpeg, 0xc4, &[&[0x00, 1, 1][..], &[0; 14], &[0, 6]].concat());
    segment(&mut jpeg, 0xc4, &[&[0x10, 1][..], &[0; 15], &[0]].concat());
    segment(&mut jpeg, 0xda, &[1, 1, 0x00, 0, 63, 0]);
    jpeg.extend_from_slice(&scan());
    jpeg.extend_from_slice(&[0xff, 0xd9]);
    jpeg
}

fn segment(jpeg: &mut Vec<u8>, marker: u8, content: &[u8]) {
    jpeg.extend_from_slice(&[0xff, marker]);
    jpeg.extend_from_slice(&u16::try_from(content.len() + 2).unwrap_or(u16::MAX).to_be_bytes());
    jpeg.extend_from_slice(content);
}

/// Artist and HostComputer as TIFF writes them (Exif 2.3, 4.6).
fn exif(artist: &str, computer: &str) -> Vec<u8> {
    let length = |text: &str| u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
    // Behind the head (8) stand the number of entries (2), two of them (12 each) and the end of the list (4).
    let first_text: u32 = 8 + 2 + 24 + 4;
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02".to_vec();
    for (tag, text, place) in [(0x013b_u16, artist, first_text), (0x013c, computer, first_text + length(artist))] {
        exif.extend_from_slice(&tag.to_be_bytes());
        exif.extend_from_slice(&2_u16.to_be_bytes());
        exif.extend_from_slice(&length(text).to_be_bytes());
        exif.extend_from_slice(&place.to_be_bytes());
    }
    exif.extend_from_slice(&[0; 4]);
    for text in [artist, computer] {
        exif.extend_from_slice(text.as_bytes());
        exif.push(0);
    }
    exif
}

/// The blocks, each as its difference of grey from the one before.
fn scan() -> Vec<u8> {
    let mut bits = Vec::new();
    let mut before = 0;
    for row in 0..HIGH {
        for book in BOOKS {
            let grey = STEP * if BOARDS.contains(&row) { -1 } else { book };
            let difference = grey - before;
            before = grey;
            if difference == 0 {
                bits.push(false);
            } else {
                bits.extend([true, false]);
                // A negative one is written less one, without its sign.
                let written = if difference < 0 { difference + 63 } else { difference };
                bits.extend((0..6).rev().map(|bit| written >> bit & 1 == 1));
            }
            bits.push(false);
        }
    }
    let mut bytes = Vec::new();
    for eight in bits.chunks(8) {
        let byte = (0..8).fold(0, |byte, at| byte << 1 | u8::from(eight.get(at).copied().unwrap_or(true)));
        bytes.push(byte);
        if byte == 0xff {
            bytes.push(0);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_photograph_names_its_owner_and_is_a_whole_jpeg() {
        let jpeg = of_a_bookshelf("ana@example.org", "desk.example.org");
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
        assert!(jpeg.windows(16).any(|bytes| bytes == b"ana@example.org\0"));
    }
}
