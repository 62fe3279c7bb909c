//! What ARCHITECTURE.md says of the crates and modules, held by tests: which arrows exist between
//! them, and what stands nowhere, or in one place only.
//!
//! Sources are looked at as tokens, so that comments, texts and line breaks make no difference.
//! Where a check cannot tell, it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod absences;
mod arrows;
mod pages;
mod tokens;
mod workspace;
