//! The real program on real files: every test starts `realize` and looks at what it leaves behind.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests fail by panicking, and say on standard error what they could not test"
)]

mod bad_input;
mod behaviour;
mod carries;
mod completions;
mod configuration;
mod copy_verify_list;
mod during;
mod ends;
mod killed;
mod leases;
mod linked;
mod memory;
mod monitoring;
mod mounts;
mod network;
mod output;
mod overlapping;
mod permissions;
mod planted;
mod program;
mod real_trees;
mod receipts;
mod shipped;
mod signals;
