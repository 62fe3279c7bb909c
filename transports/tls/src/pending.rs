//! The handshakes under way with those who have proved nothing yet.
//!
//! There is a place for each, and the number of places is bounded, in all and per address. Whoever
//! comes when there is none takes that of the oldest handshake of their address, or, where the
//! total is reached, of the address that has the most. So connections that say nothing crowd out
//! each other, and an honest one, which takes a moment, gets through among them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How many handshakes the listeners that share a [`Pending`] have under way at once.
pub const MAX_PENDING: usize = 256;

/// How many of them are with one address; for IPv6, with one network of 64 bits.
pub const MAX_PENDING_PER_ADDRESS: usize = 32;

/// The bits of an IPv6 address that tell one network from another: whoever has one has all of it.
const NETWORK: u128 = !(u64::MAX as u128);

/// The places, shared by the listeners of a transport: clones share them.
#[derive(Clone, Debug, Default)]
pub struct Pending(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By number, so that the oldest comes first.
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    group: IpAddr,
    /// Dropped when the place goes to another.
    _holder: oneshot::Sender<()>,
}

/// A place, until it is dropped or given to another.
#[derive(Debug)]
pub struct Place {
    number: u64,
    displaced: oneshot::Receiver<()>,
    pending: Pending,
}

impl Pending {
    /// A place for a connection from `ip`, at once.
    pub fn enter(&self, ip: IpAddr) -> Place {
        let group = group(ip);
        let (holder, displaced) = oneshot::channel();
        let mut table = self.table();
        let number = table.next;
        table.next = table.next.wrapping_add(1);
        let oldest = table.in_the_way_of(group);
        let gone = oldest.and_then(|number| table.taken.remove(&number));
        let taken = Taken {
            group,
            _holder: holder,
        };
        table.taken.insert(number, taken);
        drop(table);
        // Wakes whoever held it, which is better done without the lock.
        drop(gone);
        Place {
            number,
            displaced,
            pending: self.clone(),
        }
    }

    /// The table. No change of it stops halfway, so it is sound even if a holder panicked.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.table().taken.len()
    }
}

impl Table {
    /// Which place a new one for `group` takes, if there is none left.
    fn in_the_way_of(&self, group: IpAddr) -> Option<u64> {
        // How many each has, and its oldest.
        let mut groups: HashMap<IpAddr, (usize, Reverse<u64>)> = HashMap::new();
        for (number, taken) in &self.taken {
            let (count, _) = groups.entry(taken.group).or_insert((0, Reverse(*number)));
            *count += 1;
        }
        let own = groups.get(&group);
        if let Some((count, Reverse(oldest))) = own
            && *count >= MAX_PENDING_PER_ADDRESS
        {
            return Some(*oldest);
        }
        if self.taken.len() < MAX_PENDING {
            return None;
        }
        groups.values().max().map(|(_, Reverse(oldest))| *oldest)
    }
}

impl Place {
    /// Waits until the place is given to another. Cancel safe; to be asked no more once it was.
    pub async fn displaced(&mut self) {
        // Nothing is ever sent: the sender is dropped.
        let _ = (&mut self.displaced).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nothing, if it was given away: numbers are not used again.
        let gone = self.pending.table().taken.remove(&self.number);
        drop(gone);
    }
}

/// What counts as one address.
fn group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & NETWORK).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn v4(number: usize) -> IpAddr {
        IpAddr::V4(u32::try_from(number).unwrap().into())
    }

    fn is_displaced(place: &mut Place) -> bool {
        place.displaced.try_recv() == Err(TryRecvError::Closed)
    }

    /// Which of `places` have been given away.
    fn displaced(places: &mut [Place]) -> Vec<usize> {
        let places = places.iter_mut().enumerate();
        places
            .filter_map(|(i, place)| is_displaced(place).then_some(i))
            .collect()
    }

    #[rstest]
    #[case("10.0.0.1", "10.0.0.1", true)]
    #[case("10.0.0.1", "10.0.0.2", false)]
    #[case("10.0.0.1", "::ffff:10.0.0.1", true)]
    #[case("::ffff:10.0.0.1", "::ffff:10.0.0.2", false)]
    #[case("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true)]
    #[case("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    #[case("::1", "127.0.0.1", false)]
    fn addresses_are_counted(#[case] one: &str, #[case] other: &str, #[case] same: bool) {
        let of = |text: &str| group(text.parse().unwrap());
        assert_eq!(of(one) == of(other), same);
    }

    #[test]
    fn one_more_of_an_address_takes_the_place_of_its_oldest() {
        let pending = Pending::default();
        let mut other = pending.enter(v4(2));
        let mut places: Vec<_> = (0..MAX_PENDING_PER_ADDRESS)
            .map(|_| pending.enter(v4(1)))
            .collect();
        assert_eq!(displaced(&mut places), []);
        places.push(pending.enter(v4(1)));
        places.push(pending.enter(v4(1)));
        assert_eq!(displaced(&mut places), [0, 1]);
        assert!(!is_displaced(&mut other));
        assert_eq!(pending.taken(), MAX_PENDING_PER_ADDRESS + 1);
    }

    #[test]
    fn one_more_in_all_takes_the_place_of_the_oldest_of_the_address_with_the_most() {
        let pending = Pending::default();
        // The oldest of all are single; then one address has three.
        let mut places: Vec<_> = (0..MAX_PENDING - 3).map(|i| pending.enter(v4(i))).collect();
        let crowd = places.len();
        places.extend((0..3).map(|_| pending.enter(v4(0xffff))));
        places.push(pending.enter(v4(0x1_0000)));
        assert_eq!(displaced(&mut places), [crowd]);
        places.push(pending.enter(v4(0x1_0001)));
        assert_eq!(displaced(&mut places), [crowd, crowd + 1]);
        // Now each has one, and the oldest of all goes.
        places.push(pending.enter(v4(0x1_0002)));
        assert_eq!(displaced(&mut places), [0, crowd, crowd + 1]);
        assert_eq!(pending.taken(), MAX_PENDING);
    }

    #[test]
    fn a_dropped_place_is_free() {
        let pending = Pending::default();
        let mut kept = pending.enter(v4(1));
        for _ in 0..2 * MAX_PENDING {
            pending.enter(v4(1));
        }
        assert!(!is_displaced(&mut kept));
        assert_eq!(pending.taken(), 1);
        drop(kept);
        assert_eq!(pending.taken(), 0);
    }

    #[test]
    fn a_displaced_place_that_is_dropped_takes_nothing_from_another() {
        let pending = Pending::default();
        let places: Vec<_> = (0..2 * MAX_PENDING_PER_ADDRESS)
            .map(|_| pending.enter(v4(1)))
            .collect();
        let mut places = places.into_iter();
        places.by_ref().take(MAX_PENDING_PER_ADDRESS).for_each(drop);
        assert_eq!(pending.taken(), MAX_PENDING_PER_ADDRESS);
        let mut rest: Vec<_> = places.collect();
        assert_eq!(displaced(&mut rest), []);
    }
}
