//! A line between mover and daemon that breaks when it is told to: it cuts, changes a bit, or holds
//! back what comes.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How many bytes are carried at once.
const CHUNK: usize = 16 << 10;
/// A line with a flipped bit is cut when nothing passes for so long: a flip in a length has both
/// ends wait for bytes that never come, until one of them gives up.
const QUIET: Duration = Duration::from_millis(300);

/// Whose bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Mover,
    Daemon,
}

/// What goes wrong, and after how many bytes of one end, over all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// All connections end, as if the other end had closed them.
    Close { from: From, at: u64 },
    /// All connections end with a reset.
    Reset { from: From, at: u64 },
    /// One bit is another.
    Flip { from: From, at: u64, bit: u8 },
    /// Neither end hears anything from then on, and the connections stand.
    Hold { from: From, at: u64 },
}

impl Fault {
    /// Where it happens, in bytes of this end; never, if it is the other's.
    fn at(self, end: From) -> Option<u64> {
        match self {
            Self::Close { from, at }
            | Self::Reset { from, at }
            | Self::Flip { from, at, .. }
            | Self::Hold { from, at }
                if from == end =>
            {
                Some(at)
            }
            _ => None,
        }
    }
}

/// The connections from one setting of the fault to the next.
#[derive(Debug)]
struct Line {
    fault: Fault,
    /// Whether connections that are made after the fault stand.
    mends: bool,
    passed: [AtomicU64; 2],
    happened: CancellationToken,
}

impl Line {
    fn new(fault: Fault, mends: bool) -> Arc<Self> {
        Arc::new(Self {
            fault,
            mends,
            passed: Default::default(),
            happened: CancellationToken::new(),
        })
    }
}

/// The proxy; dropping it cuts everything.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: String,
    line: Arc<Mutex<Arc<Line>>>,
    _runtime: Runtime,
}

impl Proxy {
    /// A faultless line to the daemon at `target`.
    pub(crate) fn to(target: &str) -> Self {
        let target: SocketAddr = target.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let line = Arc::new(Mutex::new(Line::new(Fault::None, false)));
        let current = Arc::clone(&line);
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let line = Arc::clone(&current.lock().unwrap());
                tokio::spawn(carry(near, target, line));
            }
        });
        Self {
            address,
            line,
            _runtime: runtime,
        }
    }

    /// What is to go wrong with connections from now on, once. Those made after it are cut too,
    /// until the next setting.
    pub(crate) fn set(&self, fault: Fault) {
        *self.line.lock().unwrap() = Line::new(fault, false);
    }

    /// The same, and connections made after the fault stand.
    pub(crate) fn set_once(&self, fault: Fault) {
        *self.line.lock().unwrap() = Line::new(fault, true);
    }

    /// Whether the fault has happened.
    pub(crate) fn happened(&self) -> bool {
        self.line.lock().unwrap().happened.is_cancelled()
    }

    /// How many bytes of the mover, and of the daemon, have passed since the last setting.
    pub(crate) fn passed(&self) -> [u64; 2] {
        let line = self.line.lock().unwrap();
        [0, 1].map(|i| line.passed[i].load(Ordering::SeqCst))
    }
}

/// Carries a connection's bytes until it ends, or the fault ends it.
async fn carry(mut near: TcpStream, target: SocketAddr, line: Arc<Line>) {
    let after = line.happened.is_cancelled();
    if after && !line.mends {
        return;
    }
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let fault = if after { Fault::None } else { line.fault };
    {
        let ((near_read, near_write), (far_read, far_write)) = (near.split(), far.split());
        let both = async {
            tokio::join!(
                pump(near_read, far_write, From::Mover, fault, &line),
                pump(far_read, near_write, From::Daemon, fault, &line),
            )
        };
        let cut = async {
            match fault {
                Fault::Close { .. } | Fault::Reset { .. } => line.happened.cancelled().await,
                _ => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cut => {}
            _ = both => return,
        }
    }
    if matches!(fault, Fault::Reset { .. }) {
        for socket in [&near, &far] {
            rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).unwrap();
        }
    }
}

/// Carries one direction. An error is an end like any other: both ends learn of it when the sockets
/// are dropped.
async fn pump(
    mut read: ReadHalf<'_>,
    mut write: WriteHalf<'_>,
    from: From,
    fault: Fault,
    line: &Line,
) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let quiet = async {
            match fault {
                Fault::Flip { .. } => {
                    line.happened.cancelled().await;
                    sleep(QUIET).await;
                }
                _ => pending().await,
            }
        };
        let count = tokio::select! {
            biased;
            read = read.read(&mut chunk) => read.unwrap_or(0),
            () = quiet => 0,
        };
        if matches!(fault, Fault::Hold { .. }) && line.happened.is_cancelled() {
            // Not even an end.
            pending::<()>().await;
        }
        if count == 0 {
            break;
        }
        let before = line.passed[from as usize].fetch_add(count as u64, Ordering::SeqCst);
        let mut bytes = &mut chunk[..count];
        let here = fault.at(from).and_then(|at| at.checked_sub(before));
        let here = here.and_then(|here| usize::try_from(here).ok());
        let here = here.filter(|here| *here < count);
        if let Some(here) = here {
            match fault {
                Fault::Flip { bit, .. } => bytes[here] ^= 1 << bit,
                _ => bytes = &mut bytes[..here],
            }
        }
        if write.write_all(bytes).await.is_err() {
            break;
        }
        if here.is_some() {
            line.happened.cancel();
            if matches!(fault, Fault::Close { .. } | Fault::Reset { .. }) {
                // The connection ends here, and nothing comes behind.
                pending::<()>().await;
            }
        }
    }
    let _ = write.shutdown().await;
}
