//! Pictures without anything but the picture: only the segments, chunks and blocks that a decoder needs are copied.

/// A kind of picture that can be made safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Picture {
    Jpeg,
    Png,
    Gif,
    WebP,
}

impl Picture {
    /// What the first bytes say; names and types given by the sender don't count.
    pub fn sniff(data: &[u8]) -> Option<Self> {
        match data {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => None,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
        }
    }

    /// The usual ending of its file name.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::WebP => "webp",
        }
    }

    /// The picture alone; `None` where the file is damaged.
    pub fn stripped(self, data: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Jpeg => jpeg(data),
            Self::Png => png(data),
            Self::Gif => gif(data),
            Self::WebP => webp(data),
        }
    }
}

fn take<'a>(data: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, rest) = data.split_at_checked(n)?;
    *data = rest;
    Some(head)
}

/// JPEG (ITU-T T.81 B): frames, scans and tables; of the application segments the picture's density, Adobe's colour transform, and which side is up.
fn jpeg(data: &[u8]) -> Option<Vec<u8>> {
    let mut rest = data.get(2..)?;
    let mut out = Vec::with_capacity(data.len());
    out.extend_from_slice(&[0xff, 0xd8]);
    let mut has_scan = false;
    loop {
        while rest.first() == Some(&0xff) && rest.get(1) == Some(&0xff) {
            rest = &rest[1..];
        }
        let Some([0xff, marker]) = rest.first_chunk::<2>().copied() else {
            // Cut off behind its last scan: programs show such pictures.
            out.extend_from_slice(&[0xff, 0xd9]);
            return (has_scan && rest.is_empty()).then_some(out);
        };
        rest = &rest[2..];
        if marker == 0xd9 {
            out.extend_from_slice(&[0xff, 0xd9]);
            return has_scan.then_some(out);
        }
        let size = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        let segment = take(&mut rest, size)?;
        let body = segment.get(2..)?;
        match marker {
            0xe0 if body.starts_with(b"JFIF\0") && body.len() >= 14 => {
                out.extend_from_slice(b"\xff\xe0\0\x10");
                out.extend_from_slice(&body[..12]);
                out.extend_from_slice(&[0, 0]);
            }
            0xe1 if body.starts_with(b"Exif\0\0") => out.extend(exif_orientation(&body[6..]).map(orientation_segment).unwrap_or_default()),
            0xee if body.starts_with(b"Adobe") && body.len() >= 12 => {
                out.extend_from_slice(b"\xff\xee\0\x0e");
                out.extend_from_slice(&body[..12]);
            }
            0xc0..=0xc7 | 0xc9..=0xcf | 0xdb..=0xdd => {
                out.extend_from_slice(&[0xff, marker]);
                out.extend_from_slice(segment);
            }
            0xda => {
                has_scan = true;
                out.extend_from_slice(&[0xff, marker]);
                out.extend_from_slice(segment);
                let length = scan_length(rest);
                out.extend_from_slice(take(&mut rest, length)?);
            }
            0xe0..=0xef | 0xfe => {}
            _ => return None,
        }
    }
}

/// How long the compressed data of a scan are: up to a marker that is neither a stuffed byte nor a restart.
fn scan_length(data: &[u8]) -> usize {
    let is_marker = |at: &usize| data.get(at + 1).is_some_and(|next| !matches!(next, 0 | 0xd0..=0xd7 | 0xff));
    memchr::memchr_iter(0xff, data).find(is_marker).unwrap_or(data.len())
}

/// The tag Orientation of a TIFF directory (EXIF 2.3, 4.6.4), if it says anything but upright.
fn exif_orientation(tiff: &[u8]) -> Option<u8> {
    let little = match tiff.first_chunk::<4>()? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk::<2>()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let bytes = *tiff.get(4..)?.first_chunk::<4>()?;
    let directory = if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) } as usize;
    let count = usize::from(short(directory)?);
    let entry = (0..count).map(|i| directory.saturating_add(2 + 12 * i)).find(|&at| short(at) == Some(0x0112))?;
    u8::try_from(short(entry + 8)?).ok().filter(|side| (2..=8).contains(side))
}

/// An EXIF segment that says only which side is up.
fn orientation_segment(side: u8) -> Vec<u8> {
    let mut out = b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    out.extend_from_slice(&[side, 0, 0, 0, 0, 0, 0, 0]);
    out
}

/// PNG (W3C, 11.2 and 11.3) and its animation: what draws, transparency, colour space by number, pixel size.
fn png(data: &[u8]) -> Option<Vec<u8>> {
    const KEPT: [&[u8; 4]; 13] = [b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"acTL", b"fcTL", b"fdAT"];
    let mut rest = data.get(8..)?;
    let mut out = Vec::with_capacity(data.len());
    out.extend_from_slice(&data[..8]);
    loop {
        let size = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let chunk = take(&mut rest, size.checked_add(12)?)?;
        let kind = chunk.get(4..)?.first_chunk::<4>()?;
        if KEPT.contains(&kind) {
            out.extend_from_slice(chunk);
        }
        if kind == b"IEND" {
            return Some(out);
        }
    }
}

/// GIF (GIF89a, 18 to 27): frames and their timing; of the application extensions only the one that says how often to repeat.
fn gif(data: &[u8]) -> Option<Vec<u8>> {
    let mut rest = data;
    let mut out = Vec::with_capacity(data.len());
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let head = take(&mut rest, 13)?;
    out.extend_from_slice(head);
    out.extend_from_slice(take(&mut rest, table(head[10]))?);
    loop {
        let Some(&kind) = rest.first() else {
            out.push(0x3b);
            return Some(out);
        };
        match kind {
            0x3b => {
                out.push(0x3b);
                return Some(out);
            }
            0x2c => {
                let head = take(&mut rest, 10)?;
                out.extend_from_slice(head);
                out.extend_from_slice(take(&mut rest, table(head[9]) + 1)?);
                let length = blocks_length(rest)?;
                out.extend_from_slice(take(&mut rest, length)?);
            }
            0x21 => {
                let label = *rest.get(1)?;
                let length = 2 + blocks_length(&rest[2..])?;
                let extension = take(&mut rest, length)?;
                let repeats = label == 0xff && extension.len() == 19 && (&extension[3..14] == b"NETSCAPE2.0" || &extension[3..14] == b"ANIMEXTS1.0");
                if repeats || label == 0xf9 && extension.len() == 8 {
                    out.extend_from_slice(extension);
                }
            }
            0 => {
                take(&mut rest, 1)?;
            }
            _ => return None,
        }
    }
}

/// How long a chain of sub-blocks is, its terminator included.
fn blocks_length(data: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let size = usize::from(*data.get(at)?);
        at += 1 + size;
        if size == 0 {
            return Some(at);
        }
    }
}

/// WebP (RFC 9649 2.7): the picture, transparency, animation; the flags that promise profiles and metadata are cleared.
fn webp(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(data.len());
    out.extend_from_slice(b"RIFF\0\0\0\0WEBP");
    let size = u32::from_le_bytes(*data.get(4..)?.first_chunk()?) as usize;
    webp_chunks(data.get(12..size.checked_add(8)?.min(data.len()))?, &mut out, true)?;
    let size = u32::try_from(out.len() - 8).ok()?.to_le_bytes();
    out[4..8].copy_from_slice(&size);
    Some(out)
}

fn webp_chunks(mut rest: &[u8], out: &mut Vec<u8>, may_nest: bool) -> Option<()> {
    while !rest.is_empty() {
        let name = *take(&mut rest, 4)?.first_chunk::<4>()?;
        let size = u32::from_le_bytes(*take(&mut rest, 4)?.first_chunk()?) as usize;
        let body = take(&mut rest, size)?;
        let padding = (size % 2).min(rest.len());
        take(&mut rest, padding)?;
        let start = out.len();
        out.extend_from_slice(&name);
        out.extend_from_slice(&[0; 4]);
        match &name {
            b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" => out.extend_from_slice(body),
            b"VP8X" => {
                // Profile 0x20, EXIF 0x08, XMP 0x04; transparency and animation stay.
                out.push(*body.first()? & 0x12);
                out.extend_from_slice(body.get(1..10)?);
            }
            b"ANMF" if may_nest => {
                out.extend_from_slice(body.get(..16)?);
                webp_chunks(&body[16..], out, false)?;
            }
            _ => {
                out.truncate(start);
                continue;
            }
        }
        let written = u32::try_from(out.len() - start - 8).ok()?;
        out[start + 4..start + 8].copy_from_slice(&written.to_le_bytes());
        if written % 2 == 1 {
            out.push(0);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"Zoe zoe@home.example";

    fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
        let size = u16::try_from(body.len() + 2).expect("short").to_be_bytes();
        [&[0xff, marker][..], &size, body].concat()
    }

    /// A JPEG's parts around given segments.
    fn a_jpeg(segments: &[Vec<u8>], tail: &[u8]) -> Vec<u8> {
        let head = segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
        let tables = [segment(0xdb, &[16; 65]), segment(0xc0, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]), segment(0xc4, &[0; 18])].concat();
        let scan = [segment(0xda, &[1, 1, 0, 0, 0x3f, 0]), vec![0x3f, 0xff, 0, 0xff, 0xd0, 7]].concat();
        [b"\xff\xd8".to_vec(), head, segments.concat(), tables, scan, b"\xff\xd9".to_vec(), tail.to_vec()].concat()
    }

    /// EXIF with an orientation and an artist.
    fn exif(side: u8) -> Vec<u8> {
        let mut tiff = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        tiff.extend_from_slice(&[side, 0, 0, 0x01, 0x3b, 0, 2, 0, 0, 0, 20, 0, 0, 0, 38, 0, 0, 0, 0]);
        tiff.extend_from_slice(SECRET);
        tiff
    }

    fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&u32::try_from(body.len()).expect("short").to_be_bytes()[..], kind, body, b"crc!"].concat()
    }

    fn riff(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&name[..], &u32::try_from(body.len()).expect("short").to_le_bytes(), body, &[0][..body.len() % 2]].concat()
    }

    fn a_webp(chunks: &[Vec<u8>]) -> Vec<u8> {
        riff(b"RIFF", &[b"WEBP".to_vec(), chunks.concat()].concat())
    }

    fn has_secret(data: &[u8]) -> bool {
        data.windows(SECRET.len()).any(|w| w == SECRET)
    }

    #[test]
    fn pictures_keep_what_draws_and_lose_what_tells() {
        let png = |chunks: &[Vec<u8>], tail: &[u8]| {
            let mut all = b"\x89PNG\r\n\x1a\n".to_vec();
            all.extend(chunk(b"IHDR", &[0; 13]));
            all.extend(chunks.concat());
            all.extend([chunk(b"IDAT", &[1, 2, 3]), chunk(b"IEND", b"")].concat());
            [all, tail.to_vec()].concat()
        };
        let gif = |extension: &[u8]| [b"GIF89a\x01\0\x01\0\x80\0\0rgbRGB", extension, b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b"].concat();
        let block = |label: u8, body: &[u8]| [&[0x21, label, body.len() as u8][..], body, &[0]].concat();
        let still = riff(b"VP8L", &[0x2f, 0, 0]);
        let frame = |inside: &[Vec<u8>]| riff(b"ANMF", &[vec![7; 16], inside.concat()].concat());
        let extended = |flags: u8| riff(b"VP8X", &[&[flags][..], &[0; 9]].concat());
        let profile = [b"ICC_PROFILE\0".to_vec(), SECRET.to_vec()].concat();
        for (what, kind, given, wanted) in [
            ("nothing to lose", Picture::Jpeg, a_jpeg(&[], b""), a_jpeg(&[], b"")),
            ("EXIF", Picture::Jpeg, a_jpeg(&[segment(0xe1, &exif(1))], b""), a_jpeg(&[], b"")),
            ("XMP", Picture::Jpeg, a_jpeg(&[segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", SECRET].concat())], b""), a_jpeg(&[], b"")),
            ("profile and IPTC", Picture::Jpeg, a_jpeg(&[segment(0xe2, &profile), segment(0xed, SECRET)], b""), a_jpeg(&[], b"")),
            ("comment, after the end", Picture::Jpeg, a_jpeg(&[segment(0xfe, SECRET)], SECRET), a_jpeg(&[], b"")),
            ("which side is up", Picture::Jpeg, a_jpeg(&[segment(0xe1, &exif(6))], b""), a_jpeg(&[orientation_segment(6)], b"")),
            ("chunks", Picture::Png, png(&[chunk(b"tEXt", SECRET), chunk(b"eXIf", SECRET), chunk(b"tIME", SECRET)], SECRET), png(&[], b"")),
            ("transparency", Picture::Png, png(&[chunk(b"tRNS", &[0, 1])], b""), png(&[chunk(b"tRNS", &[0, 1])], b"")),
            ("comment", Picture::Gif, gif(&block(0xfe, SECRET)), gif(b"")),
            ("XMP", Picture::Gif, gif(&[&b"\x21\xff\x0bXMP DataXMP\x14"[..], SECRET, &[0]].concat()), gif(b"")),
            ("repeats", Picture::Gif, gif(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"), gif(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")),
            ("timing", Picture::Gif, gif(&block(0xf9, &[0, 1, 0, 0])), gif(&block(0xf9, &[0, 1, 0, 0]))),
            (
                "metadata",
                Picture::WebP,
                a_webp(&[extended(0x3e), still.clone(), riff(b"EXIF", SECRET), riff(b"XMP ", SECRET)]),
                a_webp(&[extended(0x12), still.clone()]),
            ),
            ("in a frame", Picture::WebP, a_webp(&[frame(&[still.clone(), riff(b"note", SECRET)])]), a_webp(&[frame(std::slice::from_ref(&still))])),
        ] {
            assert_eq!(Picture::sniff(&given), Some(kind), "{what}");
            let out = kind.stripped(&given).unwrap_or_else(|| panic!("{kind:?} {what} is refused"));
            assert_eq!(out, wanted, "{kind:?} {what}");
            assert!(!has_secret(&out), "{kind:?} {what}");
            assert_eq!(kind.stripped(&out), Some(out.clone()), "twice is once: {kind:?} {what}");
        }
    }

    #[test]
    fn a_damaged_picture_is_refused_and_never_a_panic() {
        let whole = [a_jpeg(&[segment(0xe1, &exif(6))], b""), a_webp(&[riff(b"ANMF", &[1; 40])]), b"GIF89a\x01\0\x01\0\x80\0\0rgbRGB\x21\xfe\x05ab".to_vec()];
        for data in &whole {
            for end in 0..data.len() {
                let cut = &data[..end];
                if let Some(kind) = Picture::sniff(cut) {
                    let out = kind.stripped(cut).unwrap_or_default();
                    assert!(out.len() <= cut.len() + 36 && !has_secret(&out));
                }
            }
        }
        assert_eq!(Picture::Jpeg.stripped(b"\xff\xd8\xff\xe0"), None);
        assert_eq!(Picture::Png.stripped(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDAT"), None);
        assert_eq!(Picture::sniff(b"<svg>"), None);
    }
}
