//! Messages about files that are only names.

use realize_core::RelPath;
use realize_core::buffers::Buffers;
use realize_core::entry::{Timestamp, Version};
use realize_core::hash::Digest;
use realize_core::range::ByteRange;
use realize_core::service::*;
use realize_core::transport::{Connection, PeerId};
use tarpc::{ClientMessage, Request, trace};
use tokio::io::{AsyncWriteExt, DuplexStream};

use crate::frame::{Frame, Lengths, read_frame};
use crate::hello::SessionId;
use crate::protocol::{Call, context, encode_call};

pub(crate) fn id(session: u8) -> SessionId {
    [session; 16]
}

/// A connection from `peer`.
pub(crate) fn connection(peer: &str, stream: DuplexStream) -> Connection {
    Connection::new(PeerId::new(peer).unwrap(), "a test", stream)
}

/// The frame of a call.
pub(crate) fn request(id: u64, call: Call) -> Frame {
    let request = Request {
        context: context(),
        id,
        message: call,
    };
    encode_call(ClientMessage::Request(request)).unwrap()
}

/// The frame that gives a call up.
pub(crate) fn cancel(request_id: u64) -> Frame {
    let trace_context = trace::Context::default();
    encode_call(ClientMessage::Cancel {
        trace_context,
        request_id,
    })
    .unwrap()
}

/// A frame's bytes.
pub(crate) fn bytes(frame: &Frame) -> Vec<u8> {
    let mut bytes = frame.lengths(None).to_bytes().unwrap();
    bytes.extend_from_slice(&frame.header);
    frame
        .payload
        .iter()
        .for_each(|p| bytes.extend_from_slice(p));
    bytes
}

/// Writes a frame, as far as the other end takes it.
pub(crate) async fn write(stream: &mut DuplexStream, frame: &Frame) {
    let _ = stream.write_all(&bytes(frame)).await;
}

/// The next frame of something; `None` at the end of the stream, however it ends.
pub(crate) async fn read(stream: &mut DuplexStream) -> Option<Frame> {
    loop {
        let lengths = Lengths::read(stream, false).await.ok()??;
        if lengths.total() > 0 {
            return read_frame(stream, lengths, &Buffers::default()).await.ok();
        }
    }
}

pub(crate) fn path(name: &str) -> RelPath {
    RelPath::new(name.to_owned()).unwrap()
}

pub(crate) fn version() -> Version {
    Version::new([1]).unwrap()
}

pub(crate) fn list(name: &str) -> List {
    List {
        within: Some(path(name)),
        files: true,
        ..List::default()
    }
}

pub(crate) fn read_of(name: &str, len: u64) -> Read {
    Read {
        path: path(name),
        version: version(),
        range: ByteRange::new(0, len).unwrap(),
    }
}

pub(crate) fn target(name: &str) -> Target {
    Target {
        path: path(name),
        source: version(),
        size: 1 << 30,
        sparse: false,
    }
}

pub(crate) fn send_of(name: &str, len: usize) -> SendBlock {
    SendBlock {
        target: target(name),
        offset: 0,
        block: Block::Data(vec![9; len].into()),
        hash: None,
    }
}

pub(crate) fn put_of(name: &str, len: usize) -> Put {
    Put {
        path: path(name),
        content: Content::File(vec![9; len].into(), Digest::from_bytes([1; 32])),
        mode: 0o600,
        modified: Timestamp {
            seconds: 1,
            nanos: 0,
        },
        expect: Expect::Absent,
    }
}

pub(crate) fn claim() -> Claim {
    Claim {
        role: Role::Destination,
        run: RunId::from_bytes([1; 16]),
        origin: Origin::default(),
        holder: "a test".to_owned(),
    }
}

pub(crate) fn list_call(name: &str) -> Call {
    Call::List {
        list: list(name).into(),
    }
}

pub(crate) fn read_call(name: &str, len: u64) -> Call {
    Call::Read {
        read: read_of(name, len).into(),
    }
}

pub(crate) fn send_call(name: &str, len: usize) -> Call {
    Call::Send {
        send: send_of(name, len).into(),
    }
}

pub(crate) fn put_call(name: &str, len: usize) -> Call {
    Call::Put {
        puts: vec![put_of(name, len)].into(),
    }
}

pub(crate) fn claim_call() -> Call {
    Call::Claim {
        claim: claim().into(),
    }
}
