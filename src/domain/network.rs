//! Networks of the Internet: an address with a length, and whose customer an address is.
use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Deserializer, de};

/// `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    length: u8,
}

impl Network {
    /// What one customer of a provider has: an IPv4 address, or an IPv6 /64.
    pub fn of_client(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            four @ IpAddr::V4(_) => Self::new(four, 32),
            six @ IpAddr::V6(_) => Self::new(six, 64),
        }
    }

    /// What a mail service sends from, by turns: an IPv4 /24, or an IPv6 /64.
    pub fn of_service(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            four @ IpAddr::V4(_) => Self::new(four, 24),
            six @ IpAddr::V6(_) => Self::new(six, 64),
        }
    }

    /// Whether the address lies in it; an IPv4 address in IPv6 clothes is the IPv4 address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.first.is_ipv4() && Self::new(ip, self.length).first == self.first
    }

    fn new(ip: IpAddr, length: u8) -> Self {
        let first = match ip {
            IpAddr::V4(four) => IpAddr::V4((u32::from(four) & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)).into()),
            IpAddr::V6(six) => IpAddr::V6((u128::from(six) & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)).into()),
        };
        Self { first, length }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

/// Not of the form `address` or `address/length`, or its address has bits beyond the length.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no address and no network such as 192.0.2.0/24")]
pub struct NoNetwork(String);

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let wrong = || NoNetwork(text.to_owned());
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let ip = address.parse::<IpAddr>().map_err(|_| wrong())?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(most), |length| length.parse::<u8>().map_err(|_| wrong()))?;
        if length > most {
            return Err(wrong());
        }
        let network = if length == most { Self::new(ip.to_canonical(), if ip.to_canonical().is_ipv4() { 32 } else { 128 }) } else { Self::new(ip, length) };
        // 192.0.2.7/24 is more likely a slip than a network.
        if length < most && network.first != ip { Err(wrong()) } else { Ok(network) }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, address, inside) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("::1", "::1", true),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
        ] {
            assert_eq!(network.parse::<Network>().expect(network).contains(ip(address)), inside, "{address} in {network}");
        }
        for wrong in ["", "192.0.2.0/33", "192.0.2.1/24", "example.org", "2001:db8::/129", "192.0.2.0/", "192.0.2.0/x"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_client_is_an_address_or_a_64_and_a_service_a_24() {
        assert_eq!(Network::of_client(ip("2001:db8::1")), Network::of_client(ip("2001:db8::ffff:1")));
        assert_ne!(Network::of_client(ip("2001:db8::1")), Network::of_client(ip("2001:db8:0:1::1")));
        assert_eq!(Network::of_client(ip("::ffff:192.0.2.1")), Network::of_client(ip("192.0.2.1")));
        assert_ne!(Network::of_client(ip("192.0.2.2")), Network::of_client(ip("192.0.2.1")));
        assert_eq!(Network::of_service(ip("192.0.2.2")).to_string(), "192.0.2.0/24");
    }
}
