//! How much one client may submit.
//!
//! A client is an IPv4 address or an IPv6 /64. Each has two allowances, of entries and of bytes, that refill at
//! a steady rate up to ten seconds' worth; who has used one up gets 429 and when to come back. This machine
//! itself is not limited.
//!
//! Allowances are in a table of fixed size: a client's place in it is a hash under a key of this process, so
//! nothing is ever evicted, no flood of addresses takes more memory, and nobody can choose whose allowance he
//! shares. Two clients may share one by chance.
//!
//! Behind a proxy all clients have the proxy's address. Those listed in `trusted_proxies` are believed what they
//! append to `X-Forwarded-For`: the client is the last address in it that is not a trusted proxy's. Nothing before
//! that address is looked at, since anyone can write it. `Forwarded` and other headers are ignored.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::http::HeaderMap;
use indelible_client::listen::{ClientNet, Net, Peer};

use super::error::Problem;

/// How many allowances there are: 1 MiB of them.
const SLOTS: usize = 1 << 16;
/// How much may be submitted at once after a rest, in seconds of the rate.
const BURST_S: u64 = 10;
/// How many proxies a request may have passed; what is before them is not looked at.
const MAX_HOPS: usize = 16;
/// Name of the header that proxies append addresses to.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The steady rates of one client; 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Entries or records a second.
    pub entries_per_s: u64,
    /// Bytes of request bodies a second.
    pub bytes_per_s: u64,
}

/// What every client has left.
#[derive(Debug)]
pub struct Clients {
    entries: Bucket,
    bytes: Bucket,
    trusted_proxies: Vec<Net>,
    slots: Box<[Slot]>,
    key: RandomState,
    begun: Instant,
}

/// When each allowance would be full again, in nanoseconds since the beginning.
#[derive(Debug, Default)]
struct Slot {
    entries: AtomicU64,
    bytes: AtomicU64,
}

/// Whom a request is from; `None` is this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client(Option<ClientNet>);

impl Clients {
    /// Nobody has submitted anything. `largest` is the largest number of entries and of bytes in one request,
    /// which a rested client may always send.
    pub fn new(rates: Rates, largest: (usize, usize), trusted_proxies: Vec<Net>) -> Self {
        Self {
            entries: Bucket::new(rates.entries_per_s, largest.0),
            bytes: Bucket::new(rates.bytes_per_s, largest.1),
            trusted_proxies,
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            key: RandomState::new(),
            begun: Instant::now(),
        }
    }

    /// Whom a request with these headers is from.
    pub(super) fn client(&self, peer: Option<&Peer>, headers: &HeaderMap) -> Client {
        // Only tests of handlers have requests that came by no connection.
        let Some(Peer(peer)) = peer else { return Client(None) };
        let peer = peer.ip().to_canonical();
        let forwarded = self.is_trusted(peer) && headers.contains_key(FORWARDED_FOR);
        let address = if forwarded { self.origin(peer, headers) } else { peer };
        // What a proxy on this machine forwards is not this machine's own.
        Client((forwarded || !address.is_loopback()).then(|| ClientNet::of(address)))
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(address))
    }

    /// From whom a trusted proxy has a request, as far as trusted proxies say.
    fn origin(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = proxy;
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let hops = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops.take(MAX_HOPS) {
            // What is no address was not written by a proxy that we know.
            let address = std::str::from_utf8(hop).ok().and_then(|hop| hop.trim().parse::<IpAddr>().ok());
            let Some(address) = address.map(|address| address.to_canonical()) else { break };
            nearest = address;
            if !self.is_trusted(nearest) {
                break;
            }
        }
        nearest
    }

    /// Takes so much of the client's allowances, or says when there will be enough.
    pub(super) fn take(&self, client: Client, entries: usize, bytes: usize) -> Result<(), Problem> {
        let Client(Some(net)) = client else { return Ok(()) };
        let now = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.take_at(net, entries, bytes, now).map_err(|retry_after_s| Problem::ClientLimit { retry_after_s })
    }

    fn take_at(&self, net: ClientNet, entries: usize, bytes: usize, now: u64) -> Result<(), u64> {
        let place = usize::try_from(self.key.hash_one(net)).unwrap_or_default() % SLOTS;
        let Some(slot) = self.slots.get(place) else { return Ok(()) };
        self.entries.take(&slot.entries, entries, now)?;
        self.bytes.take(&slot.bytes, bytes, now)
    }
}

/// The size of one kind of allowance.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// 0 for no limit.
    per_s: u64,
    /// How long an empty one takes to be full.
    burst_ns: u64,
}

impl Bucket {
    fn new(per_s: u64, largest: usize) -> Self {
        let largest_ns = cost_ns(largest, per_s);
        Self { per_s, burst_ns: largest_ns.max(BURST_S * NS_PER_S) }
    }

    /// Moves the time at which it would be full by what is taken, unless that is too far away: then the number
    /// of seconds after which it is not.
    fn take(&self, full_at: &AtomicU64, amount: usize, now: u64) -> Result<(), u64> {
        if self.per_s == 0 {
            return Ok(());
        }
        let cost = cost_ns(amount, self.per_s);
        let mut short_of = 0;
        let taken = full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let after = full_at.max(now).saturating_add(cost);
            short_of = after.saturating_sub(now).saturating_sub(self.burst_ns);
            (short_of == 0).then_some(after)
        });
        taken.map(drop).map_err(|_| short_of.div_ceil(NS_PER_S))
    }
}

const NS_PER_S: u64 = 1_000_000_000;

/// How long so much takes to be refilled.
fn cost_ns(amount: usize, per_s: u64) -> u64 {
    let ns = (amount as u128) * u128::from(NS_PER_S) / u128::from(per_s.max(1));
    u64::try_from(ns).unwrap_or(u64::MAX)
}

/// This machine, which no limit of clients is meant for.
pub fn loopback() -> [Net; 2] {
    [Net::of(Ipv4Addr::new(127, 0, 0, 0).into(), 8), Net::of(Ipv6Addr::LOCALHOST.into(), 128)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates { entries_per_s: 10, bytes_per_s: 1000 };

    fn clients(trusted: &[&str]) -> Clients {
        let trusted = trusted.iter().map(|net| net.parse().unwrap()).collect();
        Clients::new(RATES, (1, 1), trusted)
    }

    fn net(text: &str) -> ClientNet {
        ClientNet::of(text.parse().unwrap())
    }

    fn seconds(seconds: u64) -> u64 {
        seconds * NS_PER_S
    }

    #[test]
    fn one_entry_more_than_the_burst_is_refused_until_it_is_refilled() {
        let clients = clients(&[]);
        let take = |entries, now| clients.take_at(net("192.0.2.1"), entries, 0, now);
        assert_eq!(take(100, 0), Ok(()));
        assert_eq!(take(1, 0), Err(1));
        assert_eq!(take(25, 0), Err(3));
        // What was refused was not taken.
        assert_eq!(take(10, seconds(1)), Ok(()));
        assert_eq!(take(1, seconds(1)), Err(1));
        // A rest of any length is worth one burst.
        assert_eq!(take(101, seconds(1_000_000)), Err(1));
        assert_eq!(take(100, seconds(1_000_000)), Ok(()));
    }

    #[test]
    fn bytes_are_limited_on_their_own() {
        let clients = clients(&[]);
        let take = |bytes| clients.take_at(net("192.0.2.1"), 1, bytes, 0);
        assert_eq!(take(10_000), Ok(()));
        assert_eq!(take(1), Err(1));
        assert_eq!(take(0), Ok(()));
        assert_eq!(take(usize::MAX), Err(u64::MAX.div_ceil(NS_PER_S) - BURST_S));
    }

    #[test]
    fn the_largest_request_is_never_too_much_for_a_rested_client() {
        let clients = Clients::new(RATES, (4_096, 4 << 20), Vec::new());
        assert_eq!(clients.take_at(net("192.0.2.1"), 4_096, 4 << 20, 0), Ok(()));
        assert_eq!(clients.take_at(net("192.0.2.1"), 1, 0, 0), Err(1));
    }

    #[test]
    fn no_limit_is_no_limit() {
        let clients = Clients::new(Rates { entries_per_s: 0, bytes_per_s: 0 }, (1, 1), Vec::new());
        for _ in 0..3 {
            assert_eq!(clients.take_at(net("192.0.2.1"), usize::MAX, usize::MAX, 0), Ok(()));
        }
    }

    /// Row S4 of the attack table.
    #[test]
    fn addresses_of_one_ipv6_net_share_an_allowance_and_other_clients_do_not() {
        let clients = clients(&[]);
        let mut taken = 0;
        while clients.take_at(net(&format!("2001:db8::{taken:x}")), 1, 0, 0).is_ok() {
            taken += 1;
        }
        assert_eq!(taken, 100);
        let free = (1..100)
            .filter(|other| clients.take_at(net(&format!("2001:db8:0:{other:x}::1")), 1, 0, 0).is_ok());
        // All of them but for a rare accident.
        assert!(free.count() >= 98);
    }

    #[test]
    fn a_flood_of_addresses_gives_nobody_a_new_allowance() {
        let clients = clients(&[]);
        assert_eq!(clients.take_at(net("192.0.2.1"), 100, 0, 0), Ok(()));
        for address in 0..200_000_u32 {
            let _ = clients.take_at(ClientNet::V4(address.to_be_bytes()), 1, 0, 0);
        }
        assert_eq!(clients.take_at(net("192.0.2.1"), 1, 0, 0), Err(1));
    }

    fn from(clients: &Clients, peer: &str, forwarded: &[&str]) -> Client {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        clients.client(Some(&Peer((peer.parse::<IpAddr>().unwrap(), 1).into())), &headers)
    }

    #[test]
    fn what_a_stranger_says_about_himself_counts_for_nothing() {
        let clients = clients(&[]);
        let expected = Client(Some(net("192.0.2.1")));
        assert_eq!(from(&clients, "192.0.2.1", &["203.0.113.9"]), expected);
        assert_eq!(from(&clients, "192.0.2.1", &["127.0.0.1"]), expected);
        assert_eq!(from(&clients, "::ffff:192.0.2.1", &[]), expected);
    }

    #[test]
    fn a_trusted_proxy_is_believed_what_it_appended() {
        let clients = clients(&["127.0.0.1", "10.0.0.0/8"]);
        let client = |forwarded: &[&str]| from(&clients, "127.0.0.1", forwarded);
        let named = |text: &str| Client(Some(net(text)));
        assert_eq!(client(&[]), Client(None));
        assert_eq!(client(&["203.0.113.9"]), named("203.0.113.9"));
        // Whatever stands before what the proxy appended was sent by the client.
        assert_eq!(client(&["127.0.0.1, 203.0.113.9"]), named("203.0.113.9"));
        assert_eq!(client(&["198.51.100.1", "203.0.113.9"]), named("203.0.113.9"));
        assert_eq!(client(&["203.0.113.9, 10.1.2.3"]), named("203.0.113.9"));
        assert_eq!(client(&["203.0.113.9,10.1.2.3", "10.9.9.9"]), named("203.0.113.9"));
        assert_eq!(client(&["2001:db8::1"]), named("2001:db8::2"));
        // What is no address ends the search at the last proxy.
        assert_eq!(client(&["203.0.113.9, unknown, 10.1.2.3"]), named("10.1.2.3"));
        assert_eq!(client(&["203.0.113.9, 10.1.2.3:80"]), named("127.0.0.1"));
        assert_eq!(client(&[""]), named("127.0.0.1"));
        assert_eq!(client(&["127.0.0.1"]), named("127.0.0.1"));
        let many = format!("203.0.113.9{}", ",10.0.0.1".repeat(MAX_HOPS));
        assert_eq!(client(&[&many]), named("10.0.0.1"));
        let fewer = format!("203.0.113.9{}", ",10.0.0.1".repeat(MAX_HOPS - 1));
        assert_eq!(client(&[&fewer]), named("203.0.113.9"));
    }
}
