//! Keys, and mutual TLS 1.3 with raw public keys, for the transports of realize that need it.
//!
//! Each machine has an ed25519 key pair ([`PrivateKey`], kept in a file by [`load_private_key`] and
//! [`save_private_key`]) and knows the [`PublicKey`] of each machine that it deals with. From these
//! a transport makes a [`client_config`], which connects to the one machine that it expects, or a
//! [`server_config`], which lets in the machines that it knows at that moment
//! ([`KnownPeers`](realize_core::known_peers::KnownPeers)); the key that [`peer_key`] finds in a
//! finished handshake is the identity of the other end.
//!
//! There are no certificates, no other algorithm, no older TLS and no way to turn any of it off. It
//! is not for moving bytes: a transport puts these configurations over its own sockets, and sets
//! the deadlines and the limits that a handshake with strangers needs.

mod config;
mod encoding;
mod file;
mod key;
mod verifier;

pub use config::{ALPN, client_config, server_config, server_name};
pub use file::{FileError, MAX_FILE_LEN, load_private_key, load_public_key, save_private_key};
pub use key::{KeyError, PrivateKey, PublicKey};
pub use verifier::{RefusedKey, is_refusal, peer_key, refused_by_peer, refused_key, tls_error};

#[cfg(test)]
mod tests;
