//! The checks themselves, by what they are about.
//!
//! Each takes a world and fails with what the transport did. What is to happen has a deadline;
//! what must not happen is waited for a while.

pub(crate) mod accepting;
pub(crate) mod addresses;
pub(crate) mod bytes;
pub(crate) mod cuts;
pub(crate) mod endings;
pub(crate) mod limits;
pub(crate) mod many;
pub(crate) mod moves;
pub(crate) mod options;
pub(crate) mod peers;
