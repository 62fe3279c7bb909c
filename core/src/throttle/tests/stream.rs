//! Streams that are held to throttles.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::poll_immediate;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};
use tokio::time::{Instant, sleep, timeout};

use super::super::{RateLimitStream, Throttles};
use super::*;

/// Takes a given number of bytes per write, and notes every call.
#[derive(Debug, Default)]
struct Recorder {
    most: usize,
    writes: Vec<Vec<usize>>,
    flushes: usize,
    shutdowns: usize,
}

impl AsyncWrite for Recorder {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let lengths: Vec<_> = buffers.iter().map(|buffer| buffer.len()).collect();
        let length: usize = lengths.iter().sum();
        self.writes.push(lengths);
        Poll::Ready(Ok(length.min(self.most)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdowns += 1;
        Poll::Ready(Ok(()))
    }
}

/// Has any number of zeros to read.
struct Zeros;

impl AsyncRead for Zeros {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let all = buffer.remaining();
        buffer.put_slice(&vec![0; all]);
        Poll::Ready(Ok(()))
    }
}

fn throttles(all: &[&Arc<RateLimiter>]) -> Throttles {
    Throttles::new(all.iter().map(|one| Arc::clone(one) as Arc<dyn Throttle>))
}

fn recording(most: usize, all: &[&Arc<RateLimiter>]) -> RateLimitStream<Recorder> {
    let recorder = Recorder {
        most,
        ..Recorder::default()
    };
    RateLimitStream::new(recorder, throttles(all))
}

/// What `stream` reads in `time`.
async fn read_for(stream: &mut (impl AsyncRead + Unpin), time: Duration) -> u64 {
    let mut read = 0;
    let mut buffer = vec![0; 256 * 1024];
    let reading = async {
        loop {
            read += stream.read(&mut buffer).await.unwrap() as u64;
        }
    };
    assert!(timeout(time, reading).await.is_err());
    read
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_writes_pass_as_they_are() {
    let none = Arc::new(RateLimiter::new(None));
    for all in [&[][..], &[&none, &none]] {
        let mut stream = recording(usize::MAX, all);
        assert!(stream.is_write_vectored());
        stream.write_all(&[0; 1 << 20]).await.unwrap();
        let buffers = [
            IoSlice::new(&[0; 9]),
            IoSlice::new(&[]),
            IoSlice::new(&[0; 1 << 20]),
        ];
        let length = 9 + (1 << 20);
        assert_eq!(stream.write_vectored(&buffers).await.unwrap(), length);
        assert_eq!(
            stream.into_inner().writes,
            [vec![1 << 20], vec![9, 0, 1 << 20]]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn writes_come_in_slices_at_the_rate() {
    let limiter = limited(MIB);
    let mut stream = recording(usize::MAX, &[&limiter]);
    let start = Instant::now();
    stream.write_all(&vec![0; 2 << 20]).await.unwrap();
    let time = start.elapsed();
    assert!(time >= Duration::from_millis(1990), "{time:?}");
    assert!(time <= Duration::from_millis(2002), "{time:?}");
    let slice = limiter.slice().unwrap() as usize;
    let writes = stream.into_inner().writes;
    assert_eq!(writes.len(), (2usize << 20).div_ceil(slice));
    assert!(writes.iter().all(|write| write[0] <= slice));
}

#[tokio::test(start_paused = true)]
async fn vectored_writes_are_cut_where_the_slice_ends() {
    let limiter = limited(MIB);
    let mut stream = recording(usize::MAX, &[&limiter]);
    let slice = limiter.slice().unwrap() as usize;
    let (head, body) = ([0; 40], vec![0; 8000]);
    let buffers = [IoSlice::new(&head), IoSlice::new(&[]), IoSlice::new(&body)];
    assert_eq!(stream.write_vectored(&buffers).await.unwrap(), slice);
    let small = vec![IoSlice::new(&head); 20];
    assert_eq!(stream.write_vectored(&small).await.unwrap(), 16 * 40);
    assert_eq!(
        stream.write_vectored(&[IoSlice::new(&[])]).await.unwrap(),
        0
    );
    let writes = stream.into_inner().writes;
    assert_eq!(writes, [vec![40, slice - 40], vec![40; 16], vec![]]);
}

/// A permit that the stream within did not use up is good for what comes next.
#[tokio::test(start_paused = true)]
async fn what_was_granted_and_not_written_is_kept() {
    let limiter = limited(MIB);
    let mut stream = recording(100, &[&limiter]);
    drain(&*limiter);
    let start = Instant::now();
    stream.write_all(&vec![0; 1 << 20]).await.unwrap();
    let buffers = [IoSlice::new(&[0; 50]), IoSlice::new(&[0; 100])];
    for _ in 0..(1 << 20) / 100 {
        assert_eq!(stream.write_vectored(&buffers).await.unwrap(), 100);
    }
    let time = start.elapsed();
    assert!(time >= Duration::from_millis(1999), "{time:?}");
    assert!(time <= Duration::from_millis(2007), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_within_that_is_busy_is_not_charged_again() {
    let limiter = limited(MIB);
    let (near, mut far) = duplex(1000);
    let mut stream = RateLimitStream::new(near, throttles(&[&limiter]));
    let writing = tokio::spawn(async move { stream.write_all(&vec![0; 1 << 20]).await });
    let start = Instant::now();
    let mut buffer = vec![0; 1 << 20];
    far.read_exact(&mut buffer).await.unwrap();
    writing.await.unwrap().unwrap();
    let time = start.elapsed();
    assert!(time <= Duration::from_millis(1002), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn each_of_several_throttles_has_to_grant() {
    for rates in [[MIB, 2 * MIB, GIB], [GIB, 2 * MIB, MIB], [MIB, MIB, MIB]] {
        let all = rates.map(limited);
        let mut stream = recording(usize::MAX, &all.each_ref());
        for one in &all {
            drain(&**one);
        }
        let start = Instant::now();
        stream.write_all(&vec![0; 4 << 20]).await.unwrap();
        let time = start.elapsed();
        assert!(time >= Duration::from_millis(3999), "{rates:?}: {time:?}");
        assert!(time <= Duration::from_millis(4030), "{rates:?}: {time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_total_is_shared_by_streams_with_limits_of_their_own() {
    let total = limited(3 * MIB);
    let time = Duration::from_secs(4);
    let lanes = [MIB, 8 * MIB, 8 * MIB].map(|own| {
        let mut stream = recording(usize::MAX, &[&limited(own), &total]);
        async move {
            let bytes = vec![0; 64 << 20];
            assert!(timeout(time, stream.write_all(&bytes)).await.is_err());
            let writes = stream.into_inner().writes;
            writes.iter().flatten().sum::<usize>() as f64 / (4.0 * MIB as f64)
        }
    });
    let sent = futures::future::join_all(lanes).await;
    assert!((2.98..3.02).contains(&sent.iter().sum()), "{sent:?}");
    assert!(sent[0] <= 1.01, "{sent:?}");
    // They take turns, each with slices of its own limit.
    assert!((sent[1] - sent[2]).abs() < 0.02, "{sent:?}");
    assert!(sent[0] > 0.2, "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_changed_limit_holds_for_a_write_that_waits() {
    for (to, longest) in [(None, 0), (rate(GIB), 1)] {
        let (session, total) = (limited(1), limited(2));
        let mut stream = recording(usize::MAX, &[&session, &total]);
        drain(&*session);
        drain(&*total);
        let writing = tokio::spawn(async move { stream.write_all(&[0; 4000]).await });
        sleep(Duration::from_millis(20)).await;
        let start = Instant::now();
        session.set_rate(to);
        total.set_rate(to);
        writing.await.unwrap().unwrap();
        assert!(
            start.elapsed() <= Duration::from_millis(longest),
            "{:?}",
            start.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttle_that_is_added_holds_from_the_next_write() {
    let all = Throttles::default();
    let mut stream = RateLimitStream::new(recording(usize::MAX, &[]), all.clone());
    let bytes = vec![0; 1 << 20];
    let start = Instant::now();
    stream.write_all(&bytes).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    all.add(limited(2 * MIB));
    stream.write_all(&bytes).await.unwrap();
    let first = start.elapsed();
    assert!(
        first >= Duration::from_millis(485) && first <= Duration::from_millis(501),
        "{first:?}"
    );
    all.add(limited(MIB));
    stream.write_all(&bytes).await.unwrap();
    let second = start.elapsed() - first;
    assert!(second >= Duration::from_millis(985), "{second:?}");
    assert!(second <= Duration::from_millis(1002), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_added_has_to_grant_a_write_that_waits() {
    let (old, new) = (limited(MIB), limited(KIB));
    drain(&*old);
    drain(&*new);
    let all = throttles(&[&old]);
    let mut stream = RateLimitStream::new(Recorder::default(), all.clone());
    let mut writing = Box::pin(stream.write(&[0; 512]));
    assert!(poll_immediate(&mut writing).await.is_none());
    all.add(new);
    assert!(
        timeout(Duration::from_millis(490), &mut writing)
            .await
            .is_err()
    );
    assert!(
        timeout(Duration::from_millis(20), &mut writing)
            .await
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn flush_and_shutdown_pass_and_so_do_reads() {
    let limiter = limited(1);
    drain(&*limiter);
    let mut stream = recording(usize::MAX, &[&limiter]);
    assert!(poll_immediate(Box::pin(stream.write(&[0]))).await.is_none());
    let start = Instant::now();
    stream.flush().await.unwrap();
    stream.shutdown().await.unwrap();
    let recorder = stream.into_inner();
    assert_eq!((recorder.flushes, recorder.shutdowns), (1, 1));
    let mut stream = RateLimitStream::new(Zeros, throttles(&[&limiter]));
    assert_eq!(stream.read(&mut vec![0; 1 << 20]).await.unwrap(), 1 << 20);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn paced_reads_keep_to_the_rate() {
    let (peer, total) = (limited(MIB), limited(8 * MIB));
    let stream = RateLimitStream::new(Zeros, Throttles::default());
    let mut stream = stream.pace_reads(throttles(&[&peer, &total]));
    let time = Duration::from_secs(4);
    let read = read_for(&mut stream, time).await;
    let most = brought(MIB, time) + burst(MIB) + peer.slice().unwrap();
    assert!(read <= most, "{read}");
    assert!(read >= brought(MIB, time), "{read}");
    peer.set_rate(rate(2 * MIB));
    let read = read_for(&mut stream, time).await as f64 / MIB as f64;
    assert!((7.98..8.03).contains(&read), "{read}");
    peer.set_rate(None);
    let read = read_for(&mut stream, time).await as f64 / MIB as f64;
    assert!((31.9..32.1).contains(&read), "{read}");
}

/// The first bytes are there before the limit has anything to say; what was read is owed.
#[tokio::test(start_paused = true)]
async fn what_was_read_is_owed() {
    let limiter = limited(KIB);
    drain(&*limiter);
    let stream = RateLimitStream::new(Zeros, Throttles::default());
    let mut stream = stream.pace_reads(throttles(&[&limiter]));
    let mut buffer = vec![0; 4096];
    let start = Instant::now();
    assert_eq!(stream.read(&mut buffer).await.unwrap(), 512);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(stream.read(&mut buffer[..100]).await.unwrap(), 100);
    let time = start.elapsed();
    assert!(
        time >= Duration::from_millis(500) && time <= Duration::from_millis(501),
        "{time:?}"
    );
    let mut reading = Box::pin(stream.read(&mut buffer));
    assert!(poll_immediate(&mut reading).await.is_none());
    limiter.set_rate(None);
    assert_eq!(reading.await.unwrap(), 4096);
    assert_eq!(start.elapsed(), time);
}
