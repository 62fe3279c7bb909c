//! Every operation of a service, and what it takes.

use bytes::Bytes;

use super::super::{Right, Rights};
use super::recorder::signature;
use super::{path, version};
use crate::delta::Delta;
use crate::entry::Timestamp;
use crate::error::Result;
use crate::hash::Digest;
use crate::range::ByteRange;
use crate::service::*;

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    ClaimSource,
    ClaimReader,
    ClaimDestination,
    List,
    Offer,
    Read,
    ReadBatch,
    Send,
    Put,
    PutReplacing,
    MakeDirectories,
    Hash,
    SignatureOfFinal,
    SignatureOfPartial,
    Diff,
    PatchOfFinal,
    PatchOfPartial,
    Finish,
    FinishReplacing,
    FinishExisting,
    Delete,
    Configure,
}

use Operation as O;
use Right as R;

/// Every operation with the rights that it takes; of those with none any one will do.
pub(super) fn table() -> Vec<(Operation, Rights)> {
    vec![
        (O::ClaimSource, [R::List, R::Read, R::Delete].into()),
        (O::ClaimReader, [R::List, R::Read].into()),
        (O::ClaimDestination, R::Write.into()),
        (O::List, R::List.into()),
        (O::Offer, R::Write.into()),
        (O::Read, R::Read.into()),
        (O::ReadBatch, R::Read.into()),
        (O::Send, R::Write.into()),
        (O::Put, R::Write.into()),
        (O::PutReplacing, [R::Write, R::Replace].into()),
        (O::MakeDirectories, R::Write.into()),
        (O::Hash, R::Read.into()),
        (O::SignatureOfFinal, [R::Read, R::Write].into()),
        (O::SignatureOfPartial, R::Write.into()),
        (O::Diff, R::Read.into()),
        (O::PatchOfFinal, [R::Read, R::Write].into()),
        (O::PatchOfPartial, R::Write.into()),
        (O::Finish, R::Write.into()),
        (O::FinishReplacing, [R::Write, R::Replace].into()),
        (O::FinishExisting, R::Write.into()),
        (O::Delete, R::Delete.into()),
        (O::Configure, Rights::NONE),
    ]
}

impl Operation {
    /// Does it, for the file `f`; an item's error is the call's.
    pub(super) async fn call(self, service: &dyn Service) -> Result<()> {
        let claim = |role| Claim {
            role,
            run: RunId::from_bytes([7; 16]),
            origin: Origin::default(),
            holder: String::new(),
        };
        match self {
            O::ClaimSource => service.claim(claim(Role::Source)).await,
            O::ClaimReader => service.claim(claim(Role::Reader)).await,
            O::ClaimDestination => service.claim(claim(Role::Destination)).await,
            O::List => service.list(List::default()).await.map(drop),
            O::Offer => one(service.offer(vec![offer()]).await),
            O::Read => service.read(read("f")).await.map(drop),
            O::ReadBatch => one(service.read_batch(vec![read_whole("f")]).await),
            O::Send => service.send(send()).await,
            O::Put => one(service.put(vec![put("f", Expect::Absent)]).await),
            O::PutReplacing => {
                let put = put("f", Expect::Version(version()));
                one(service.put(vec![put]).await)
            }
            O::MakeDirectories => one(service.make_directories(vec![make()]).await),
            O::Hash => service.hash(hash("f")).await.map(drop),
            O::SignatureOfFinal => sign(service, Basis::Final(version())).await,
            O::SignatureOfPartial => sign(service, Basis::Partial).await,
            O::Diff => service.diff(diff("f")).await.map(drop),
            O::PatchOfFinal => service.apply_patch(patch(Basis::Final(version()))).await,
            O::PatchOfPartial => service.apply_patch(patch(Basis::Partial)).await,
            O::Finish => {
                let from = FinishFrom::Partial(version(), Expect::Absent);
                one(service.finish(vec![finish("f", from)]).await)
            }
            O::FinishReplacing => {
                let from = FinishFrom::Partial(version(), Expect::Version(version()));
                one(service.finish(vec![finish("f", from)]).await)
            }
            O::FinishExisting => {
                let from = FinishFrom::Existing(version());
                one(service.finish(vec![finish("f", from)]).await)
            }
            // A file takes a reading before.
            O::Delete => {
                let directory = Delete::Directory { path: path("f") };
                one(service.delete(vec![directory]).await)
            }
            O::Configure => service.configure(Config::default()).await.map(drop),
        }
    }
}

fn one<T>(results: Result<Vec<Result<T>>>) -> Result<()> {
    let mut results = results?;
    assert_eq!(results.len(), 1);
    results.remove(0).map(drop)
}

async fn sign(service: &dyn Service, basis: Basis) -> Result<()> {
    let request = SignatureRequest {
        target: target(),
        basis,
        range: nothing(),
        block: 512,
    };
    service.calculate_signature(request).await.map(drop)
}

fn nothing() -> ByteRange {
    ByteRange::new(0, 0).unwrap()
}

fn target() -> Target {
    Target {
        path: path("f"),
        source: version(),
        size: 0,
        sparse: false,
    }
}

fn offer() -> Offer {
    Offer {
        path: path("f"),
        link: false,
        source: version(),
        size: 0,
        modified: Timestamp::default(),
    }
}

pub(super) fn read(name: &str) -> Read {
    Read {
        path: path(name),
        version: version(),
        range: nothing(),
    }
}

pub(super) fn read_whole(name: &str) -> ReadWhole {
    ReadWhole {
        path: path(name),
        version: version(),
        size: 0,
    }
}

fn send() -> SendBlock {
    SendBlock {
        target: target(),
        offset: 0,
        block: Block::Hole(0),
        hash: None,
    }
}

pub(super) fn put(name: &str, expect: Expect) -> Put {
    Put {
        path: path(name),
        content: Content::File(Bytes::new(), Digest::of_content(b"")),
        mode: 0o644,
        modified: Timestamp::default(),
        expect,
    }
}

fn make() -> MakeDirectory {
    MakeDirectory {
        path: path("f"),
        mode: 0o755,
        making: Making::Either,
    }
}

pub(super) fn hash(name: &str) -> Hash {
    Hash {
        path: path(name),
        version: version(),
        size: 0,
        range: nothing(),
    }
}

pub(super) fn diff(name: &str) -> DiffRequest {
    DiffRequest {
        path: path(name),
        version: version(),
        size: 0,
        range: nothing(),
        signature: signature(),
        expected: 0,
        search: true,
    }
}

fn patch(basis: Basis) -> Patch {
    Patch {
        target: target(),
        basis,
        range: nothing(),
        delta: Delta::default(),
        hash: None,
    }
}

pub(super) fn finish(name: &str, from: FinishFrom) -> Finish {
    Finish {
        path: path(name),
        from,
        size: 0,
        hash: Digest::of_content(b""),
        mode: 0o644,
        modified: Timestamp::default(),
    }
}
