//! The PROXY protocol, version 2, by which a balancer says whose connection it hands on. Read from listed balancers only.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How every header begins (section 2.2 of the specification).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Addresses take 36 octets; the rest is for extensions, of which we need none.
const LONGEST: usize = 4096;

/// Reads the header and not an octet more. Gives the client's address; none where the balancer speaks for itself (`LOCAL`) or does not know.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await.context("the connection ended in the header")?;
    ensure!(head.starts_with(SIGNATURE), "it does not begin with a header of version 2");
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    ensure!(length <= LONGEST, "its header has {length} octets");
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await.context("the connection ended in the header")?;
    match head[12] {
        0x20 => Ok(None),
        0x21 => client(head[13], &rest),
        other => bail!("its header has version and command {other:#04x}"),
    }
}

/// The source address in a header's second part, by family and transport.
fn client(family: u8, rest: &[u8]) -> Result<Option<SocketAddr>> {
    let (ip, port): (IpAddr, &[u8]) = match family {
        0x11 => {
            let octets: [u8; 12] = rest.get(..12).and_then(|part| part.try_into().ok()).context("it has no IPv4 addresses")?;
            let [a, b, c, d, ..] = octets;
            (Ipv4Addr::new(a, b, c, d).into(), &rest[8..10])
        }
        0x21 => {
            let octets: [u8; 16] = rest.get(..36).and_then(|part| part[..16].try_into().ok()).context("it has no IPv6 addresses")?;
            (Ipv6Addr::from(octets).into(), &rest[32..34])
        }
        0x00 => return Ok(None),
        other => bail!("it names the transport {other:#04x}, which mail does not come by"),
    };
    Ok(Some(SocketAddr::new(ip.to_canonical(), u16::from_be_bytes([port[0], port[1]]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, rest].concat()
    }

    const FOUR: [u8; 12] = [192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x34, 0, 25];

    #[tokio::test]
    async fn the_client_is_read_and_what_follows_is_left() {
        let six = [Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).octets(), Ipv6Addr::LOCALHOST.octets()].concat();
        let extended = [FOUR.as_slice(), &[4, 0, 1, 0]].concat();
        for (sent, expected) in [
            (header(0x21, 0x11, &FOUR), Some("192.0.2.7:4660")),
            (header(0x21, 0x11, &extended), Some("192.0.2.7:4660")),
            (header(0x21, 0x21, &[six.as_slice(), &[0, 1, 0, 25]].concat()), Some("[2001:db8::7]:1")),
            (header(0x20, 0x00, &[]), None),
            (header(0x21, 0x00, &[]), None),
        ] {
            let sent = [sent, b"EHLO x\r\n".to_vec()].concat();
            let mut stream = sent.as_slice();
            let got = read(&mut stream).await.expect("a good header");
            assert_eq!(got.map(|address| address.to_string()).as_deref(), expected);
            assert_eq!(stream, b"EHLO x\r\n");
        }
    }

    #[tokio::test]
    async fn anything_else_is_no_header() {
        let mut long = header(0x21, 0x11, &FOUR);
        long[14] = 0xff;
        for sent in [
            b"EHLO client.test\r\nMAIL FROM:<>".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
            header(0x31, 0x11, &FOUR),
            header(0x22, 0x11, &FOUR),
            header(0x21, 0x12, &FOUR),
            header(0x21, 0x11, &FOUR[..11]),
            header(0x21, 0x21, &FOUR),
            header(0x21, 0x11, &FOUR)[..20].to_vec(),
            long,
        ] {
            assert!(read(&mut sent.as_slice()).await.is_err(), "{sent:?}");
        }
    }
}
