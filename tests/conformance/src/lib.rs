//! What every transport of realize must keep to, as tests that its author runs in a few lines.
//!
//! A transport's author says in a [`World`] how two machines are made that are connected by it, and
//! in [`Capabilities`] what the transport cannot do by nature. One line in a file of tests,
//! `conformance!(world(), capabilities())`, makes of every check a test of its own.
//!
//! A check makes a world of its own, and needs no network but what the transport needs. What a
//! transport does not claim is not tested, and the test says so, with the reason, on standard error.
//!
//! A check is an asynchronous function that takes a world and says what it found; it fails, it does
//! not panic. The list is [`CHECKS`]. A new one is a function in `checks`, a line there, its name
//! in `with_checks!`, and a transport in `tests/broken` that fails it: a check that no broken
//! transport fails proves nothing, and a test refuses it.
//!
//! It is not for the parts of a transport that are its own: the texts of its errors, its options,
//! its bounds on strangers.

mod capabilities;
mod check;
mod checks;
mod content;
mod cutter;
mod failure;
mod meeting;
mod tree;
mod world;

pub use capabilities::{Capabilities, Capability};
pub use check::{CHECKS, Check, run};
pub use failure::{Failure, Outcome};
pub use world::{Party, Stall, World};

/// Makes a test of every check: `conformance!(WORLD, CAPABILITIES)`.
///
/// WORLD is an expression that makes a [`World`]; it is evaluated for each test, within a tokio
/// runtime. CAPABILITIES is one that makes [`Capabilities`]. Where one crate has several transports,
/// each is in a module of its own.
#[macro_export]
macro_rules! conformance {
    ($world:expr, $capabilities:expr $(,)?) => {
        $crate::with_checks! { tests_of, $world, $capabilities }
    };
}

/// Calls a macro of this crate with the names of all checks.
#[doc(hidden)]
#[macro_export]
macro_rules! with_checks {
    ($then:ident $(, $argument:expr)*) => {
        $crate::$then! {
            [$($argument),*]
            what_is_sent_is_echoed
            what_is_written_before_the_end_arrives
            the_dialler_ends_and_the_listener_goes_on
            the_listener_ends_and_the_dialler_goes_on
            sixty_four_mebibytes_arrive_intact_both_ways_at_once
            a_writer_waits_for_its_reader
            a_hundred_connections_at_once_carry_their_own_bytes
            a_connection_that_nobody_reads_holds_up_no_other
            a_limit_is_kept_both_ways
            a_reader_sees_that_the_other_end_is_gone
            a_writer_sees_that_the_other_end_is_gone
            a_stream_that_was_not_ended_does_not_read_as_ended
            a_cancelled_accept_loses_no_connection
            a_handshake_that_nobody_drives_blocks_nobody
            a_client_that_stalls_blocks_nobody
            the_address_that_the_system_chose_is_told
            a_dropped_listener_frees_its_address_and_cuts_nobody
            nobody_listening_is_told_fast
            each_end_is_told_who_the_other_is
            another_peer_than_expected_is_refused
            a_stranger_is_refused_and_gets_not_one_byte
            an_unknown_option_is_named
            what_is_said_of_the_defaults_holds
            a_whole_tree_moves
            a_move_that_is_cut_goes_on
        }
    };
}

/// A test of each check.
#[doc(hidden)]
#[macro_export]
macro_rules! tests_of {
    ([$world:expr, $capabilities:expr] $($check:ident)*) => {
        $(
            #[test]
            fn $check() -> $crate::Outcome {
                $crate::run(::core::stringify!($check), || $world, &$capabilities)
            }
        )*
    };
}

/// The names of the checks.
#[doc(hidden)]
#[macro_export]
macro_rules! names_of {
    ([] $($check:ident)*) => {
        [$(::core::stringify!($check)),*]
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_a_test() {
        let tests: &[&str] = &with_checks! { names_of };
        let checks: Vec<_> = CHECKS.iter().map(Check::name).collect();
        assert_eq!(checks, tests);
    }
}
