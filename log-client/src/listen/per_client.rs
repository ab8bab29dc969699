//! How many connections each client has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::net::{ClientNet, Net};

/// The bound of one client's connections.
#[derive(Clone, Debug)]
pub struct PerClient {
    /// Connections that one client may have at once.
    pub connections: usize,
    /// Who may have any number: this machine, and proxies that stand for many clients.
    pub exempt: Vec<Net>,
}

/// Counts the connections of each client. Has at most as many clients as there are connections.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    limit: Arc<PerClient>,
    open: Arc<Mutex<HashMap<ClientNet, usize>>>,
}

impl Counts {
    pub(super) fn new(limit: PerClient) -> Self {
        Self { limit: Arc::new(limit), open: Arc::default() }
    }

    /// Counts a connection from this address until the ticket is dropped; `None` if it is one too many.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Ticket> {
        if self.limit.exempt.iter().any(|net| net.contains(address)) {
            return Some(Ticket { counted: None });
        }
        let client = ClientNet::of(address);
        let mut open = self.open();
        let count = open.entry(client).or_default();
        if *count >= self.limit.connections {
            return None;
        }
        *count += 1;
        Some(Ticket { counted: Some((self.clone(), client)) })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<ClientNet, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is counted.
#[derive(Debug)]
pub(super) struct Ticket {
    counted: Option<(Counts, ClientNet)>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some((counts, client)) = &self.counted else { return };
        let mut open = counts.open();
        if let Some(count) = open.get_mut(client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(exempt: &[&str]) -> Counts {
        let exempt = exempt.iter().map(|net| net.parse().unwrap()).collect();
        Counts::new(PerClient { connections: 2, exempt })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_connection_more_than_a_client_may_have_is_refused() {
        let counts = counts(&[]);
        let first = counts.admit(ip("192.0.2.1")).unwrap();
        let _second = counts.admit(ip("192.0.2.1")).unwrap();
        assert!(counts.admit(ip("192.0.2.1")).is_none());
        assert!(counts.admit(ip("::ffff:192.0.2.1")).is_none());
        assert!(counts.admit(ip("192.0.2.2")).is_some());
        drop(first);
        assert!(counts.admit(ip("192.0.2.1")).is_some());
    }

    /// Row S4 of the attack table.
    #[test]
    fn an_ipv6_net_is_one_client() {
        let counts = counts(&[]);
        let _open = [counts.admit(ip("2001:db8::1")).unwrap(), counts.admit(ip("2001:db8::2")).unwrap()];
        assert!(counts.admit(ip("2001:db8::3")).is_none());
        assert!(counts.admit(ip("2001:db8:0:1::3")).is_some());
    }

    #[test]
    fn who_is_exempt_is_not_counted_and_nothing_is_kept_of_who_left() {
        let counts = counts(&["127.0.0.0/8"]);
        let open: Vec<_> = (0..100).map(|_| counts.admit(ip("127.0.0.1")).unwrap()).collect();
        assert!(counts.open().is_empty());
        drop(open);
        let tickets: Vec<_> =
            (0..=255).map(|last| counts.admit(IpAddr::from([192, 0, 2, last])).unwrap()).collect();
        assert_eq!(counts.open().len(), 256);
        drop(tickets);
        assert!(counts.open().is_empty());
    }
}
