//! Frames: what travels over a connection once both ends have said hello.
//!
//! A frame is the length of its header (32 bits, big-endian), the length of its payload (likewise),
//! the header, the payload. The header is a message in postcard; the payload is the message's bulk
//! bytes as they are. A frame of nothing, eight zero bytes, says that its sender is alive.
//!
//! Where both ends said in their hellos that they can, a payload may be compressed. The top bit of
//! its length says so, the other 31 bits are its length as it travels, and behind the two lengths,
//! so that it is known before memory is taken, stands a third (32 bits, big-endian): its length once
//! decompressed, which is larger, and within the bound of a payload. The payload is then one frame of
//! zstd that names the same length.
//!
//! Lengths are what a peer says: they are compared with the bounds here before anything is read,
//! and memory is taken for what has arrived, a step at a time.

use std::io;

use bytes::{Bytes, BytesMut};
use realize_core::buffers::Buffers;
use realize_core::service::{MAX_BLOCK, MAX_DIFF_RANGE};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::wire::MAX_MESSAGE;

/// The longest header, in bytes.
pub(crate) const MAX_HEADER: usize = MAX_MESSAGE;
/// The longest payload, in bytes: a delta that found nothing. A batch is shorter.
pub(crate) const MAX_PAYLOAD: usize = MAX_DIFF_RANGE as usize;
/// How much memory is taken at once for bytes that were announced.
const STEP: usize = 256 << 10;
/// Payloads of more than this many bytes, up to a block, are read into a buffer of a whole block; for
/// what is smaller it would be more memory than the peer's share says.
const POOLED: u64 = MAX_BLOCK / 2;
/// The length of the two lengths, in bytes.
pub(crate) const PREFIX: usize = 8;
/// The bit of a payload's length that says that it is compressed.
const COMPRESSED: u32 = 1 << 31;

/// A message with its bulk bytes aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The message, in postcard.
    pub(crate) header: Bytes,
    /// The bytes that it carries, in order; one after the other they are the payload.
    pub(crate) payload: Vec<Bytes>,
}

impl Frame {
    /// How many bytes the payload has.
    pub(crate) fn payload_len(&self) -> usize {
        self.payload.iter().map(Bytes::len).sum()
    }

    /// The lengths of its parts. `decompressed` is the payload's, if that is compressed.
    pub(crate) fn lengths(&self, decompressed: Option<usize>) -> Lengths {
        Lengths {
            header: self.header.len(),
            payload: self.payload_len(),
            decompressed,
        }
    }
}

/// The lengths of a frame's parts, within their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub(crate) header: usize,
    pub(crate) payload: usize,
    /// That of the payload once it is decompressed; `None` where it is not compressed.
    pub(crate) decompressed: Option<usize>,
}

impl Lengths {
    /// As they travel; `None` if they are not within their bounds.
    pub(crate) fn to_bytes(self) -> Option<Vec<u8>> {
        if !self.are_bounded() {
            return None;
        }
        let number = |len: usize| u32::try_from(len).ok();
        let mark = self.decompressed.map_or(0, |_| COMPRESSED);
        let mut bytes = number(self.header)?.to_be_bytes().to_vec();
        bytes.extend((number(self.payload)? | mark).to_be_bytes());
        if let Some(decompressed) = self.decompressed {
            bytes.extend(number(decompressed)?.to_be_bytes());
        }
        Some(bytes)
    }

    fn are_bounded(self) -> bool {
        let is_smaller = |len| self.payload > 0 && self.payload < len && len <= MAX_PAYLOAD;
        self.header <= MAX_HEADER
            && self.payload <= MAX_PAYLOAD
            && self.decompressed.is_none_or(is_smaller)
    }

    /// Reads the lengths of the next frame; `None` at the end of the stream. Errors: `InvalidData`
    /// if they are not within their bounds, or the payload is compressed where it may not be.
    pub(crate) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        may_be_compressed: bool,
    ) -> io::Result<Option<Self>> {
        let mut prefix = [0; PREFIX];
        let mut filled = 0;
        while let Some(rest) = prefix.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match stream.read(rest).await? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        let [a, b, c, d, e, f, g, h] = prefix;
        let header = u32::from_be_bytes([a, b, c, d]) as usize;
        let mut payload = u32::from_be_bytes([e, f, g, h]);
        let mut decompressed = None;
        if may_be_compressed && payload & COMPRESSED != 0 {
            payload &= !COMPRESSED;
            decompressed = Some(stream.read_u32().await? as usize);
        }
        let lengths = Self {
            header,
            payload: payload as usize,
            decompressed,
        };
        if !lengths.are_bounded() {
            let more = decompressed.map_or_else(String::new, |len| format!(", {len} once whole"));
            let what = format!("a frame of {header} and {payload} bytes{more}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(Some(lengths))
    }

    /// How many bytes follow.
    pub(crate) fn total(self) -> usize {
        self.header + self.payload
    }

    /// How many bytes the frame has in memory, when its payload is decompressed.
    pub(crate) fn in_memory(self) -> usize {
        PREFIX + self.header + self.decompressed.unwrap_or(self.payload)
    }
}

/// Whether so many bytes go into a buffer of a whole block.
pub(crate) fn is_pooled(len: usize) -> bool {
    (POOLED + 1..=MAX_BLOCK).contains(&(len as u64))
}

/// Reads what follows the lengths, as it travels.
pub(crate) async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    lengths: Lengths,
    buffers: &Buffers,
) -> io::Result<Frame> {
    let header = read_growing(stream, lengths.header).await?;
    let payload = match lengths.payload {
        0 => Vec::new(),
        len if is_pooled(len) => {
            let mut buffer = buffers.take();
            stream.read_exact(buffer.space(len)).await?;
            vec![buffer.into_bytes(len)]
        }
        len => vec![read_growing(stream, len).await?],
    };
    Ok(Frame { header, payload })
}

/// Reads `len` bytes into memory that grows as they arrive.
async fn read_growing(stream: &mut (impl AsyncRead + Unpin), len: usize) -> io::Result<Bytes> {
    let mut bytes = BytesMut::with_capacity(len.min(STEP));
    while bytes.len() < len {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(bytes.len().min(len - bytes.len()));
        }
        let room = (bytes.capacity() - bytes.len()).min(len - bytes.len());
        let mut limited = (&mut *stream).take(room as u64);
        if limited.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::pin::Pin;
    use std::task::{Context, Poll};

    use proptest::prelude::*;
    use rstest::rstest;
    use tokio::io::ReadBuf;

    use super::*;

    fn encoded(frame: &Frame) -> Vec<u8> {
        let mut bytes = frame.lengths(None).to_bytes().unwrap();
        bytes.extend_from_slice(&frame.header);
        frame
            .payload
            .iter()
            .for_each(|p| bytes.extend_from_slice(p));
        bytes
    }

    /// The lengths that these bytes begin with, on a connection with compression, or without.
    async fn lengths(mut bytes: &[u8], may_be_compressed: bool) -> io::Result<Option<Lengths>> {
        Lengths::read(&mut bytes, may_be_compressed).await
    }

    async fn decoded(mut bytes: &[u8]) -> io::Result<Option<Frame>> {
        match Lengths::read(&mut bytes, false).await? {
            None => Ok(None),
            Some(lengths) => read_frame(&mut bytes, lengths, &Buffers::default())
                .await
                .map(Some),
        }
    }

    fn frame(header: usize, payload: &[usize]) -> Frame {
        let filled = |len: usize| (0..len).map(|i| i as u8).collect::<Vec<_>>().into();
        Frame {
            header: filled(header),
            payload: payload.iter().copied().map(filled).collect(),
        }
    }

    #[tokio::test]
    async fn the_format_is_what_the_documentation_says() {
        let bytes = encoded(&frame(2, &[1, 1]));
        assert_eq!(bytes, [0, 0, 0, 2, 0, 0, 0, 2, 0, 1, 0, 0]);
        assert_eq!(encoded(&Frame::default()), [0; 8]);
    }

    #[tokio::test]
    async fn a_compressed_payload_is_marked_and_names_its_length() {
        let lengths = frame(2, &[3]).lengths(Some(0x01_0203));
        let bytes = lengths.to_bytes().unwrap();
        assert_eq!(bytes, [0, 0, 0, 2, 0x80, 0, 0, 3, 0, 1, 2, 3]);
        assert_eq!(self::lengths(&bytes, true).await.unwrap(), Some(lengths));
        assert_eq!(
            (lengths.total(), lengths.in_memory()),
            (5, 8 + 2 + 0x01_0203)
        );
        // Others go as ever.
        let bytes = frame(2, &[3]).lengths(None).to_bytes().unwrap();
        assert!(self::lengths(&bytes, true).await.unwrap().is_some());
    }

    #[rstest]
    #[case::not_agreed(&[0, 0, 0, 2, 0x80, 0, 0, 3, 0, 0, 0, 4], false, io::ErrorKind::InvalidData)]
    #[case::not_smaller(&[0, 0, 0, 2, 0x80, 0, 0, 3, 0, 0, 0, 3], true, io::ErrorKind::InvalidData)]
    #[case::nothing(&[0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 1], true, io::ErrorKind::InvalidData)]
    #[case::too_large(&[0, 0, 0, 2, 0x80, 0, 0, 3, 0, 0x80, 0, 1], true, io::ErrorKind::InvalidData)]
    #[case::absurd(&[0xff; 12], true, io::ErrorKind::InvalidData)]
    #[case::cut(&[0, 0, 0, 2, 0x80, 0, 0, 3, 0, 0, 0], true, io::ErrorKind::UnexpectedEof)]
    #[tokio::test]
    async fn the_length_of_a_compressed_payload_is_bounded(
        #[case] bytes: &[u8],
        #[case] may_be_compressed: bool,
        #[case] expected: io::ErrorKind,
    ) {
        let error = lengths(bytes, may_be_compressed).await.unwrap_err();
        assert_eq!(error.kind(), expected);
    }

    #[rstest]
    #[case(0, &[])]
    #[case(5, &[])]
    #[case(0, &[7])]
    #[case(3_000_000, &[1 << 20])]
    #[case(1, &[(1 << 20) + 1, 3])]
    #[tokio::test]
    async fn frames_come_back(#[case] header: usize, #[case] payload: &[usize]) {
        let sent = frame(header, payload);
        let received = decoded(&encoded(&sent)).await.unwrap().unwrap();
        assert_eq!(received.header, sent.header);
        assert_eq!(received.payload.concat(), sent.payload.concat());
    }

    #[rstest]
    #[case(&[], None)]
    #[case(&[0], Some(io::ErrorKind::UnexpectedEof))]
    #[case(&[0; 7], Some(io::ErrorKind::UnexpectedEof))]
    #[case(&[0, 0, 0, 2, 0, 0, 0, 0, 1], Some(io::ErrorKind::UnexpectedEof))]
    #[case(&[0, 0, 0, 0, 0, 0, 0, 2, 1], Some(io::ErrorKind::UnexpectedEof))]
    #[case(&[0xff; 8], Some(io::ErrorKind::InvalidData))]
    #[case(&[0, 0, 0, 0, 0, 0x80, 0, 1], Some(io::ErrorKind::InvalidData))]
    #[case(&[0, 0xa0, 0, 1, 0, 0, 0, 0], Some(io::ErrorKind::InvalidData))]
    #[tokio::test]
    async fn what_is_cut_or_absurd_is_an_error(
        #[case] bytes: &[u8],
        #[case] expected: Option<io::ErrorKind>,
    ) {
        let found = decoded(bytes).await;
        match expected {
            None => assert_eq!(found.unwrap(), None),
            Some(kind) => assert_eq!(found.unwrap_err().kind(), kind),
        }
    }

    /// A stream that gives a byte at a time, and sees how much memory is kept ready for more.
    struct Trickle {
        left: usize,
        most: usize,
    }

    impl AsyncRead for Trickle {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.most = self.most.max(buffer.remaining());
            if self.left > 0 {
                self.left -= 1;
                buffer.put_slice(&[7]);
            }
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn memory_is_taken_for_what_has_arrived() {
        // Ten megabytes are announced, and little comes.
        let mut stream = Trickle {
            left: STEP + 1,
            most: 0,
        };
        assert!(read_growing(&mut stream, MAX_HEADER).await.is_err());
        assert!(stream.most <= STEP * 2, "{}", stream.most);
    }

    #[tokio::test]
    async fn a_small_payload_takes_little_memory() {
        for len in [1, 1000, POOLED as usize] {
            let received = decoded(&encoded(&frame(1, &[len]))).await.unwrap().unwrap();
            let payload = received.payload.into_iter().next().unwrap();
            let memory = payload.try_into_mut().unwrap().capacity();
            assert!(memory <= len.max(64) * 2, "{memory} bytes for {len}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(decoded(&bytes));
            if let Ok(Some(lengths)) = runtime.block_on(lengths(&bytes, true)) {
                prop_assert!(lengths.in_memory() <= PREFIX + MAX_HEADER + MAX_PAYLOAD);
                let bytes = &bytes[..lengths.to_bytes().unwrap().len()];
                prop_assert_eq!(lengths.to_bytes().unwrap(), bytes);
            }
        }
    }

    #[test]
    fn what_exceeds_its_bound_has_no_lengths() {
        let has_lengths = |frame: Frame| frame.lengths(None).to_bytes().is_some();
        assert!(has_lengths(frame(MAX_HEADER, &[])));
        assert!(!has_lengths(frame(MAX_HEADER + 1, &[])));
        assert!(!has_lengths(frame(0, &[MAX_PAYLOAD, 1])));
        for (len, has) in [
            (9, false),
            (10, false),
            (11, true),
            (MAX_PAYLOAD + 1, false),
        ] {
            let lengths = frame(0, &[10]).lengths(Some(len)).to_bytes();
            assert_eq!(lengths.is_some(), has, "{len}");
        }
    }
}
