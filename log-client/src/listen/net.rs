//! Addresses as limits see them: clients by what one of them has at least, and nets in CIDR notation.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Who counts as one client: an IPv4 address, or the /64 that anyone with IPv6 has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientNet {
    /// An IPv4 address.
    V4([u8; 4]),
    /// The first 64 bits of an IPv6 address.
    V6([u8; 8]),
}

impl ClientNet {
    /// The client at this address. An IPv4 address written as IPv6 is the IPv4 address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// A net in CIDR notation, `192.0.2.0/24` or `2001:db8::/32`; a bare address is a net of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    prefix: u8,
}

/// Text that is no net.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address and no net; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")]
pub struct NetError {
    /// The text.
    text: String,
}

impl NetError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        "net-form"
    }
}

impl Net {
    /// The addresses with the same first `prefix` bits as this one.
    pub const fn of(address: IpAddr, prefix: u8) -> Self {
        Self { address, prefix }
    }

    /// Whether the address is in the net.
    pub fn contains(&self, address: IpAddr) -> bool {
        let first_bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        let address = address.to_canonical();
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        address.is_ipv4() == self.address.is_ipv4()
            && (first_bits(address) ^ first_bits(self.address)) & mask == 0
    }
}

impl FromStr for Net {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let error = || NetError { text: text.to_owned() };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) => {
                let number: u8 = prefix.parse().map_err(|_| error())?;
                // One spelling: neither +8 nor 08.
                if number > bits || number.to_string() != prefix {
                    return Err(error());
                }
                number
            }
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv4_address_and_an_ipv6_net_of_64_bits_are_one_client_each() {
        let client = |text| ClientNet::of(ip(text));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("192.0.2.1"), client("::ffff:192.0.2.1"));
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
    }

    #[test]
    fn a_net_has_the_addresses_with_its_first_bits() {
        let net = |text: &str| text.parse::<Net>().unwrap();
        for (text, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.7/32", "::ffff:192.0.2.7", "192.0.2.6"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("::1", "::1", "::2"),
        ] {
            assert!(net(text).contains(ip(inside)), "{text}");
            assert!(!net(text).contains(ip(outside)), "{text}");
            assert_eq!(net(&net(text).to_string()), net(text));
        }
    }

    #[test]
    fn what_is_no_net_is_refused() {
        for text in
            ["", "/", "a", "192.0.2", "192.0.2.0/33", "192.0.2.0/+8", "::/129", "192.0.2.0/08", "1.2.3.4/8/8"]
        {
            assert_eq!(text.parse::<Net>().unwrap_err().code(), "net-form", "{text}");
        }
    }
}
