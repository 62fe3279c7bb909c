use super::operations::{Operation, finish, put, table};
use super::{AccessPolicy, grant, guarded, guarded_by, peer, version};
use crate::access::{Right, Rights};
use crate::error::ErrorKind;
use crate::service::{Ending, Expect, FinishFrom, Service};
use crate::tests::log::Log;
use crate::transport::PeerId;

/// Whether `rights` allow what takes `needed`.
fn suffice(rights: Rights, needed: Rights) -> bool {
    !rights.is_empty() && needed.without(rights).is_empty()
}

/// Does `operation` with these rights and checks that it is refused, or reaches what is inside.
async fn assert_decided(operation: Operation, rights: Rights, needed: Rights) {
    let (guarded, inner) = guarded(rights);
    let called = operation.call(&guarded).await;
    let what = format!("{operation:?} with {rights:?}: {called:?}");
    // Whoever compares may offer, and change nothing by it.
    let reads = suffice(rights, [Right::List, Right::Read].into());
    let suffices = suffice(rights, needed) || (operation == Operation::Offer && reads);
    let Err(error) = called else {
        assert!(suffices, "{what}");
        assert_eq!(inner.calls().len(), 1, "{what}");
        return;
    };
    assert!(!suffices, "{what}");
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{what}");
    assert_eq!(inner.calls(), [""; 0], "{what}");
    let mut missing = needed.without(rights);
    if missing.contains(Right::Write) {
        // A batch that is refused whole is not looked into.
        missing = missing.without(Right::Replace.into());
    }
    let text = if missing.is_empty() {
        "no right is granted in the directory inbox".to_owned()
    } else {
        format!("not granted in the directory inbox: {missing}")
    };
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn every_operation_takes_its_rights_and_no_others() {
    for (operation, needed) in table() {
        for right in Right::ALL {
            assert_decided(operation, right.into(), needed).await;
            let others = Rights::ALL.without(right.into());
            assert_decided(operation, others, needed).await;
        }
        for rights in [Rights::NONE, Rights::ALL, needed] {
            assert_decided(operation, rights, needed).await;
        }
    }
}

#[tokio::test]
async fn a_peer_that_the_policy_does_not_name_may_do_nothing() {
    let policy = AccessPolicy::new([grant(Rights::ALL)]).unwrap();
    let stranger = PeerId::new("test:stranger").unwrap();
    for policy in [policy, AccessPolicy::default()] {
        let (guarded, inner) = guarded_by(policy, stranger.clone());
        for (operation, _) in table() {
            let error = operation.call(&guarded).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Forbidden, "{operation:?}");
        }
        assert_eq!(inner.calls(), [""; 0]);
    }
}

/// It is in nobody's way then; of its partials nothing is removed.
#[tokio::test]
async fn a_peer_that_may_do_nothing_gives_back_what_it_has_claimed() {
    for (rights, ending) in [
        (Rights::NONE, "release Interrupted"),
        (Right::Write.into(), "release Clean"),
    ] {
        let (guarded, inner) = guarded(rights);
        guarded.release(Ending::Clean).await.unwrap();
        assert_eq!(inner.calls(), [ending]);
    }
}

#[tokio::test]
async fn a_replaced_policy_holds_from_the_next_call_on() {
    let policy = AccessPolicy::new([grant(Right::List)]).unwrap();
    let (guarded, inner) = guarded_by(policy.clone(), peer());
    let list = async || Operation::List.call(&guarded).await.is_ok();
    assert!(list().await);
    policy.replace([grant(Right::Read)]).unwrap();
    assert!(!list().await);
    policy.replace([]).unwrap();
    assert!(!list().await);
    policy.replace([grant(Right::List)]).unwrap();
    assert!(list().await);
    assert_eq!(inner.calls(), ["list", "list"]);
}

#[tokio::test]
async fn only_the_items_of_a_batch_that_replace_need_replace() {
    let (guarded, inner) = guarded(Right::Write);
    let replaced = || Expect::Version(version());
    let puts = vec![
        put("a", Expect::Absent),
        put("b", replaced()),
        put("c", Expect::Absent),
    ];
    let kinds = |results: Vec<crate::Result<_>>| -> Vec<Option<ErrorKind>> {
        let kind = |result: crate::Result<crate::service::Receipt>| result.err().map(|e| e.kind());
        results.into_iter().map(kind).collect()
    };
    let forbidden = Some(ErrorKind::Forbidden);
    let results = guarded.put(puts).await.unwrap();
    assert_eq!(kinds(results), [None, forbidden, None]);
    let finishes = vec![
        finish("d", FinishFrom::Partial(version(), replaced())),
        finish("e", FinishFrom::Existing(version())),
        finish("f", FinishFrom::Partial(version(), Expect::Absent)),
    ];
    let results = guarded.finish(finishes).await.unwrap();
    assert_eq!(kinds(results), [forbidden, None, None]);
    assert_eq!(inner.calls(), ["put a c", "finish e f"]);
}

#[tokio::test]
async fn a_refusal_is_logged_once_for_a_call() {
    let (log, _guard) = Log::start();
    let (guarded, _) = guarded(Right::Write);
    let guarded = guarded.named("cam");
    let replacing = || put("f", Expect::Version(version()));
    guarded.put(vec![replacing(), replacing()]).await.unwrap();
    Operation::List.call(&guarded).await.unwrap_err();
    Operation::Offer.call(&guarded).await.unwrap();
    let denied = |operation| {
        format!(
            "WARN event=\"access.denied\" peer=\"cam\" directory=\"inbox\" operation=\"{operation}\""
        )
    };
    assert_eq!(log.lines(), [denied("put"), denied("list")]);
}
