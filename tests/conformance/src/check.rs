//! The list of checks, and how one is run.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::capabilities::{Capabilities, Capability};
use crate::checks::{
    accepting, addresses, bytes, cuts, endings, limits, many, moves, options, peers,
};
use crate::failure::{During, Failure, Outcome, within};
use crate::world::World;

/// How long a check may take in all.
const LIMIT: Duration = Duration::from_secs(300);

type Run = for<'a> fn(&'a World, &'a Capabilities) -> BoxFuture<'a, Outcome>;

/// Something that every transport must keep to, unless it lacks what it takes.
pub struct Check {
    name: &'static str,
    needs: &'static [fn(&Capabilities) -> Capability],
    run: Run,
}

impl Check {
    /// What it holds, as a sentence, which is the name of its test.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Why it does not apply to a transport with these capabilities, if it does not.
    pub fn lack(&self, capabilities: &Capabilities) -> Option<&'static str> {
        self.needs.iter().find_map(|need| need(capabilities).lack())
    }

    /// Looks whether a transport keeps to it, in a world that is used for nothing else; it is to
    /// have what it [needs](Self::lack).
    ///
    /// # Errors
    /// What the transport did instead.
    pub async fn run(&self, world: &World, capabilities: &Capabilities) -> Outcome {
        within(LIMIT, "the check", (self.run)(world, capabilities)).await?
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Runs the check of that name in a runtime of its own. One that does not apply is said so on
/// standard error, in a line that no test runner holds back.
///
/// # Errors
/// What the transport did instead.
pub fn run(name: &str, world: impl FnOnce() -> World, capabilities: &Capabilities) -> Outcome {
    let check = CHECKS.iter().find(|check| check.name == name);
    let check = check.ok_or_else(|| Failure::new(format!("there is no check {name}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .during("starting a runtime")?;
    let outcome = runtime.block_on(async {
        let world = world();
        if let Some(why) = check.lack(capabilities) {
            let transport = world.factory.name();
            let line = format!("NOT TESTED: {transport}: {name}: {why}\n");
            return std::io::stderr().write_all(line.as_bytes()).during(line);
        }
        check.run(&world, capabilities).await
    });
    // What a transport left behind may wait for ever.
    runtime.shutdown_background();
    outcome
}

macro_rules! check {
    ($name:literal, [$($need:ident)*], $run:expr) => {
        Check {
            name: $name,
            needs: &[$(|capabilities| capabilities.$need),*],
            run: |world, capabilities| {
                let run: Run = $run;
                run(world, capabilities)
            },
        }
    };
}

/// Every check, in the order of the tests.
pub const CHECKS: &[Check] = &[
    check!("what_is_sent_is_echoed", [], |w, _| Box::pin(bytes::echo(
        w
    ))),
    check!("what_is_written_before_the_end_arrives", [], |w, _| {
        Box::pin(endings::nothing_is_lost_at_the_end(w))
    }),
    check!("the_dialler_ends_and_the_listener_goes_on", [], |w, _| {
        Box::pin(endings::dialler_ends(w))
    }),
    check!(
        "the_listener_ends_and_the_dialler_goes_on",
        [listener_ends_alone],
        |w, _| Box::pin(endings::listener_ends(w))
    ),
    check!(
        "sixty_four_mebibytes_arrive_intact_both_ways_at_once",
        [],
        |w, _| Box::pin(bytes::intact(w))
    ),
    check!("a_writer_waits_for_its_reader", [], |w, c| {
        Box::pin(bytes::writer_waits(w, c))
    }),
    check!(
        "a_hundred_connections_at_once_carry_their_own_bytes",
        [],
        |w, c| Box::pin(many::hundred(w, c))
    ),
    check!(
        "a_connection_that_nobody_reads_holds_up_no_other",
        [independent],
        |w, c| Box::pin(many::unread(w, c))
    ),
    check!("a_limit_is_kept_both_ways", [], |w, _| Box::pin(
        limits::kept(w)
    )),
    check!("a_reader_sees_that_the_other_end_is_gone", [], |w, _| {
        Box::pin(endings::reader_sees(w))
    }),
    check!("a_writer_sees_that_the_other_end_is_gone", [], |w, c| {
        Box::pin(endings::writer_sees(w, c))
    }),
    check!(
        "a_stream_that_was_not_ended_does_not_read_as_ended",
        [endings],
        |w, _| Box::pin(endings::not_ended(w))
    ),
    check!(
        "a_cancelled_accept_loses_no_connection",
        [listening],
        |w, _| Box::pin(accepting::cancelled(w))
    ),
    check!(
        "a_handshake_that_nobody_drives_blocks_nobody",
        [listening],
        |w, _| Box::pin(accepting::not_driven(w))
    ),
    check!(
        "a_client_that_stalls_blocks_nobody",
        [listening handshake],
        |w, _| Box::pin(accepting::stalled(w))
    ),
    check!(
        "the_address_that_the_system_chose_is_told",
        [listening chosen_addresses],
        |w, _| Box::pin(addresses::chosen(w))
    ),
    check!(
        "a_dropped_listener_frees_its_address_and_cuts_nobody",
        [listening],
        |w, c| Box::pin(addresses::freed(w, c))
    ),
    check!("nobody_listening_is_told_fast", [], |w, c| {
        Box::pin(addresses::nobody(w, c))
    }),
    check!("each_end_is_told_who_the_other_is", [], |w, _| {
        Box::pin(peers::told(w))
    }),
    check!(
        "another_peer_than_expected_is_refused",
        [expected_peers],
        |w, _| Box::pin(peers::unexpected(w))
    ),
    check!(
        "a_stranger_is_refused_and_gets_not_one_byte",
        [listening strangers],
        |w, _| Box::pin(peers::strangers(w))
    ),
    check!("an_unknown_option_is_named", [], |w, _| {
        Box::pin(async { options::unknown(w) })
    }),
    check!("what_is_said_of_the_defaults_holds", [], |w, _| {
        Box::pin(async { options::defaults(w) })
    }),
    check!("a_whole_tree_moves", [], |w, _| Box::pin(moves::tree(w))),
    check!("a_move_that_is_cut_goes_on", [], |w, _| {
        Box::pin(cuts::goes_on(w))
    }),
];
