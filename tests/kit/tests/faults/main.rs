//! Faults, injected at every step of a move on a simulated file system, and what must hold after
//! each: no content is lost, no final name holds anything unfinished, nothing else is touched, and
//! the next run without faults brings everything home.
//!
//! `REALIZE_FAULT_STRIDE` (default 1) takes every n-th step only; `REALIZE_FAULT_SEEDS` (default
//! 3) says how many outcomes of a power loss are looked at per step.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod ahead;
mod altered;
mod check;
mod endings;
mod failing;
mod full;
mod linked;
mod mutants;
mod names;
mod patched;
mod power;
mod scenario;
mod source_changes;
mod unsynced;
