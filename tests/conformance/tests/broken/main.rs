//! Transports that are broken on purpose: each fails the check that is there for its fault, and one
//! that has no fault passes all.
//!
//! Time is paused, so that what never happens is found out at once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod factory;
mod fault;
mod machine;
mod stream;

use std::collections::BTreeSet;

use realize_conformance::{CHECKS, Capabilities, Outcome, World};

use fault::{Fault, Side};
use machine::{capabilities, world};

/// What the check of that name finds.
async fn find(check: &str, world: &World, capabilities: &Capabilities) -> Outcome {
    let found = CHECKS.iter().find(|known| known.name() == check);
    found.unwrap().run(world, capabilities).await
}

/// A test of each broken transport, and the names of the checks that they fail.
macro_rules! broken {
    ($($test:ident: $check:ident, $fault:expr, $says:literal;)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                let world = world($fault);
                let outcome = find(stringify!($check), &world, &capabilities()).await;
                let Err(failure) = outcome else {
                    panic!("a transport that is {:?} passes", $fault);
                };
                let says = failure.to_string();
                assert!(says.contains($says), "{says}");
            }
        )*

        const FAILED: &[&str] = &[$(stringify!($check)),*];
    };
}

broken! {
    damage: what_is_sent_is_echoed,
        Fault::Damages, "byte 0 is not what was sent";
    an_end_that_the_dialler_loses: what_is_written_before_the_end_arrives,
        Fault::LosesTheEnd(Side::Dialler), "from the dialler: 0 of 1000 bytes arrived";
    an_end_that_the_listener_loses: what_is_written_before_the_end_arrives,
        Fault::LosesTheEnd(Side::Listener), "from the listener: 0 of 1000 bytes arrived";
    a_dialler_that_ends_both: the_dialler_ends_and_the_listener_goes_on,
        Fault::EndsBoth(Side::Dialler), "the other end answers";
    a_listener_that_ends_both: the_listener_ends_and_the_dialler_goes_on,
        Fault::EndsBoth(Side::Listener), "the other end answers";
    a_dialler_that_ends_nothing: the_dialler_ends_and_the_listener_goes_on,
        Fault::EndsNothing(Side::Dialler), "the other end reads to the end";
    a_listener_that_ends_nothing: the_listener_ends_and_the_dialler_goes_on,
        Fault::EndsNothing(Side::Listener), "the other end reads to the end";
    late_damage_from_the_dialler: sixty_four_mebibytes_arrive_intact_both_ways_at_once,
        Fault::DamagesLate(Side::Dialler), "at the listener: byte 62914560";
    late_damage_from_the_listener: sixty_four_mebibytes_arrive_intact_both_ways_at_once,
        Fault::DamagesLate(Side::Listener), "at the dialler: byte 62914560";
    a_dialler_without_a_bound: a_writer_waits_for_its_reader,
        Fault::TakesEverything(Side::Dialler), "from the dialler: more than 16777216 bytes";
    a_listener_without_a_bound: a_writer_waits_for_its_reader,
        Fault::TakesEverything(Side::Listener), "from the listener: more than 16777216 bytes";
    damage_when_there_are_many: a_hundred_connections_at_once_carry_their_own_bytes,
        Fault::DamagesTheLater, "connection";
    connections_that_wait_for_each_other: a_connection_that_nobody_reads_holds_up_no_other,
        Fault::WaitsForAll, "5 connections are not read";
    a_dialler_that_writes_twice: a_limit_is_kept_both_ways,
        Fault::WritesTwice(Side::Dialler), "s, at a limit of 4194304 a second";
    a_listener_that_writes_twice: a_limit_is_kept_both_ways,
        Fault::WritesTwice(Side::Listener), "s, at a limit of 2097152 a second";
    a_dialler_that_dawdles: a_limit_is_kept_both_ways,
        Fault::Dawdles(Side::Dialler), "sending for a second at a limit: not within";
    a_listener_that_dawdles: a_limit_is_kept_both_ways,
        Fault::Dawdles(Side::Listener), "sending for a second at a limit: not within";
    a_dialler_that_waits_for_the_gone: a_reader_sees_that_the_other_end_is_gone,
        Fault::WaitsForTheGone(Side::Dialler), "the dialler reads that the other end is gone";
    a_listener_that_waits_for_the_gone: a_reader_sees_that_the_other_end_is_gone,
        Fault::WaitsForTheGone(Side::Listener), "the listener reads that the other end is gone";
    a_dialler_that_writes_to_the_gone: a_writer_sees_that_the_other_end_is_gone,
        Fault::WritesToTheGone(Side::Dialler), "the dialler, as a writer, sees";
    a_listener_that_writes_to_the_gone: a_writer_sees_that_the_other_end_is_gone,
        Fault::WritesToTheGone(Side::Listener), "the listener, as a writer, sees";
    a_dialler_that_swallows_for_the_gone: a_writer_sees_that_the_other_end_is_gone,
        Fault::SwallowsForTheGone(Side::Dialler), "goes on taking bytes";
    a_listener_that_swallows_for_the_gone: a_writer_sees_that_the_other_end_is_gone,
        Fault::SwallowsForTheGone(Side::Listener), "goes on taking bytes";
    a_cut_that_the_dialler_reads_as_an_end: a_stream_that_was_not_ended_does_not_read_as_ended,
        Fault::ReadsAsEnded(Side::Dialler), "the listener went without ending the stream";
    a_cut_that_the_listener_reads_as_an_end: a_stream_that_was_not_ended_does_not_read_as_ended,
        Fault::ReadsAsEnded(Side::Listener), "the dialler went without ending the stream";
    a_connection_lost_with_an_accept: a_cancelled_accept_loses_no_connection,
        Fault::LosesTheCancelled, "comes, while accepting is cancelled: not within";
    one_handshake_at_a_time: a_handshake_that_nobody_drives_blocks_nobody,
        Fault::OneHandshakeAtATime, "the first handshake is not driven: the second connects";
    a_handshake_within_accept: a_client_that_stalls_blocks_nobody,
        Fault::ShakesHandsWhileAccepting, "another one is let in, while clients stall";
    a_port_that_is_not_told: the_address_that_the_system_chose_is_told,
        Fault::TellsNoPort, "says that it is at nas:0";
    an_address_that_is_not_freed: a_dropped_listener_frees_its_address_and_cuts_nobody,
        Fault::KeepsItsAddress, "the address is free after its listener was dropped";
    connections_that_end_with_the_listener: a_dropped_listener_frees_its_address_and_cuts_nobody,
        Fault::CutsWithItsListener, "a connection goes on after its listener was dropped";
    waiting_where_nobody_is: nobody_listening_is_told_fast,
        Fault::HangsWhereNobodyIs, "dialling where nobody listens: not within 5 s";
    another_error_where_nobody_is: nobody_listening_is_told_fast,
        Fault::CallsNobodyAnAddress, "not Unreachable but Address";
    an_answer_where_nobody_is: nobody_listening_is_told_fast,
        Fault::AnswersForNobody, "nobody listens, and dialling succeeds";
    a_dialler_that_is_told_another_name: each_end_is_told_who_the_other_is,
        Fault::Misnames(Side::Dialler), "the end that dialled is told";
    a_listener_that_is_told_another_name: each_end_is_told_who_the_other_is,
        Fault::Misnames(Side::Listener), "the end that accepted is told";
    whoever_is_there: another_peer_than_expected_is_refused,
        Fault::IgnoresExpected, "and dialling succeeds";
    bytes_for_whoever_is_there: another_peer_than_expected_is_refused,
        Fault::SpeaksFirst, "the one who listens: 5 bytes come";
    an_open_door: a_stranger_is_refused_and_gets_not_one_byte,
        Fault::LetsStrangersIn, "one who was never known: test:stranger is not known, and is let in";
    a_word_to_strangers: a_stranger_is_refused_and_gets_not_one_byte,
        Fault::SpeaksToStrangers, "4 bytes come from the other end";
    an_option_that_is_swallowed: an_unknown_option_is_named,
        Fault::SwallowsOptions, "is taken";
    an_option_that_is_not_named: an_unknown_option_is_named,
        Fault::NamesNothing, "does not name it";
    an_error_that_points_elsewhere: an_unknown_option_is_named,
        Fault::PointsElsewhere, "points at Some(\"transport\")";
    a_transport_of_an_unchecked_table: an_unknown_option_is_named,
        Fault::MakesUnchecked, "a transport is made";
    a_default_that_is_another: what_is_said_of_the_defaults_holds,
        Fault::MisstatesItsDefault, "8 is not what holds where size is absent";
    a_default_that_is_no_value: what_is_said_of_the_defaults_holds,
        Fault::GarblesItsDefault, "`size = seven`, its default";
    a_connection_that_breaks: a_whole_tree_moves,
        Fault::Breaks, "moving";
    a_cut_that_is_the_last_word: a_move_that_is_cut_goes_on,
        Fault::ReachesNobodyAfterACut, "cannot be reached";
}

/// The transport without a fault.
mod sound {
    use super::*;

    realize_conformance::conformance!(world(Fault::None), capabilities());
}

#[test]
fn every_check_has_a_transport_that_fails_it() {
    let checks: BTreeSet<_> = CHECKS.iter().map(|check| check.name()).collect();
    let failed: BTreeSet<_> = FAILED.iter().copied().collect();
    assert_eq!(checks, failed);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_is_not_claimed_without_clients_that_stall() {
    let world = World {
        stall: None,
        ..world(Fault::None)
    };
    let check = "a_client_that_stalls_blocks_nobody";
    let failure = find(check, &world, &capabilities()).await.unwrap_err();
    assert!(
        failure.to_string().contains("no clients that stall"),
        "{failure}"
    );
}
