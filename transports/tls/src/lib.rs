//! What the transports over networks share: keys, mutual TLS 1.3 with raw public keys, addresses,
//! and bounds on what strangers hold.
//!
//! Each machine has an ed25519 key pair ([`PrivateKey`], kept in a file by [`load_private_key`] and
//! [`save_private_key`]) and knows the [`PublicKey`] of each machine that it deals with. From these
//! a transport makes a [`client_config`], which connects to the one machine that it expects, or a
//! [`server_config`], which lets in the machines that it knows at that moment
//! ([`KnownPeers`](realize_core::known_peers::KnownPeers)); the key that [`peer_key`] finds in a
//! finished handshake is the identity of the other end.
//!
//! [`HostPort`] is what their endpoints say, and [`first_of`] dials the addresses of one. [`Pending`] bounds the handshakes with those who have
//! proved nothing yet.
//!
//! There are no certificates, no other algorithm, no older TLS and no way to turn any of it off. It
//! is not for moving bytes: a transport puts these configurations over its own sockets, and sets
//! the deadlines and the limits that a handshake with strangers needs.

mod address;
mod config;
mod encoding;
mod file;
mod key;
mod machine;
mod pending;
mod race;
mod verifier;

pub use address::{HostPort, MAX_ADDRESSES, canonical};
pub use config::{ALPN, client_config, server_config, server_name};
pub use file::{FileError, MAX_FILE_LEN, load_private_key, load_public_key, save_private_key};
pub use key::{KeyError, PrivateKey, PublicKey};
pub use machine::machine_key;
pub use pending::{MAX_PENDING, MAX_PENDING_PER_ADDRESS, Pending, Place};
pub use race::{ATTEMPT_DELAY, first_of};
pub use verifier::{RefusedKey, is_refusal, peer_key, refused_by_peer, refused_key, tls_error};

#[cfg(test)]
mod tests;
