//! What the tests of realize share. Nothing that is shipped depends on it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod odd_tree;
pub mod sim;
