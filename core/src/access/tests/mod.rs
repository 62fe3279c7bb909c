//! What a [`Guarded`](super::Guarded) lets through.

mod issued;
mod operations;
mod recorder;
mod rights;

use std::sync::Arc;

use super::{AccessPolicy, Grant, Guarded, Rights};
use crate::entry::Version;
use crate::path::RelPath;
use crate::transport::PeerId;
use recorder::Recorder;

fn peer() -> PeerId {
    PeerId::new("test:cam").unwrap()
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn version() -> Version {
    Version::new(vec![1]).unwrap()
}

fn grant(rights: impl Into<Rights>) -> Grant {
    Grant {
        directory: "inbox".to_owned(),
        peer: peer(),
        rights: rights.into(),
    }
}

/// The directory inbox, guarded, with these rights in it for its peer; and its double inside.
fn guarded(rights: impl Into<Rights>) -> (Guarded, Arc<Recorder>) {
    let policy = AccessPolicy::new([grant(rights)]).unwrap();
    guarded_by(policy, peer())
}

fn guarded_by(policy: AccessPolicy, peer: PeerId) -> (Guarded, Arc<Recorder>) {
    let inner = Arc::new(Recorder::default());
    (Guarded::new(inner.clone(), policy, peer, "inbox"), inner)
}
