//! Who may do what in which directory, and the [`Service`](crate::Service) that enforces it.
//!
//! An [`AccessPolicy`] says which [`Rights`] a peer has in a directory: none unless said. A
//! [`Guarded`] stands between one peer and the service of one directory and asks the policy at
//! every call. Who the peer is was proved before, by the transport.

mod guarded;
mod issued;
mod policy;
mod rights;
#[cfg(test)]
mod tests;

pub use guarded::Guarded;
pub use issued::MAX_ISSUED;
pub use policy::{AccessPolicy, Grant, InvalidPolicy, MAX_DIRECTORY_NAME, MAX_GRANTS};
pub use rights::{Right, Rights, UnknownRight};
