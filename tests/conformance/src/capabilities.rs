//! What a transport claims.

/// Whether a transport does something, or why it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// It does, and that is tested.
    Has,
    /// It does not, by nature: the reason, which stands where the test would.
    Lacks(&'static str),
}

impl Capability {
    /// Why it is not there, if it is not.
    pub(crate) fn lack(self) -> Option<&'static str> {
        match self {
            Self::Has => None,
            Self::Lacks(why) => Some(why),
        }
    }
}

/// What a transport claims. The default claims everything; what a transport cannot do by nature, its
/// author says, with the reason.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Its listeners are its own. Where they are not, nothing of accepting is tested, nor of addresses
    /// and strangers, whatever else is claimed.
    pub listening: Capability,
    /// It lets the system choose a part of the address, such as a port: the
    /// [endpoint](crate::World::endpoint) leaves it open, and the listener tells what it is.
    pub chosen_addresses: Capability,
    /// The one who accepts waits for the one who dials to prove something: the world has a
    /// [stall](crate::World::stall).
    pub handshake: Capability,
    /// The one who dials finds out who is there.
    pub expected_peers: Capability,
    /// The one who listens lets in nobody but the [known](crate::World::known).
    pub strangers: Capability,
    /// Dialling fails where nobody listens. Where it does not, reading must.
    pub unreachable: Capability,
    /// The end that accepted can end its direction while the other one goes on. The one that
    /// dialled always can.
    pub listener_ends_alone: Capability,
    /// A stream whose other end is gone without having ended it never reads as ended.
    pub endings: Capability,
    /// A connection whose bytes nobody reads holds up no other one.
    pub independent: Capability,
    /// The address of a dropped listener is free at once, also while connections stand that came
    /// through it. Where it is not, it must be free soon after the last of them.
    pub free_at_once: Capability,
    /// How many bytes a writer may be ahead of its reader, at most: 16 MiB.
    pub ahead: u64,
    /// How many may dial one listener at the same moment: 100. So many connections stand at once
    /// in any case.
    pub dials: usize,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            listening: Capability::Has,
            chosen_addresses: Capability::Has,
            handshake: Capability::Has,
            expected_peers: Capability::Has,
            strangers: Capability::Has,
            unreachable: Capability::Has,
            listener_ends_alone: Capability::Has,
            endings: Capability::Has,
            independent: Capability::Has,
            free_at_once: Capability::Has,
            ahead: 16 * 1024 * 1024,
            dials: 100,
        }
    }
}
