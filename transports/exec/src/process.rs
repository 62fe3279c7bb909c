//! A program's standard input and output as one stream.

use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::stderr::LastWords;

/// How long a program that has closed its output, or whose input was closed, may take to end.
const ENDING: Duration = Duration::from_secs(5);

type Ending = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// The stream of a program that runs; it is ended with the stream.
pub(crate) struct Process {
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// The program, until its end is waited for.
    running: Option<Running>,
    ending: Option<Ending>,
}

struct Running {
    child: Child,
    said: LastWords,
    listening: JoinHandle<()>,
}

impl Process {
    /// Starts a program.
    pub(crate) fn start(words: &[String]) -> io::Result<Self> {
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("the program has no standard input or output");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let said = LastWords::default();
        let listening = tokio::spawn(said.clone().listen(stderr));
        Ok(Self {
            input: Some(input),
            output,
            running: Some(Running {
                child,
                said,
                listening,
            }),
            ending: None,
        })
    }
}

impl Running {
    /// Waits for the program's end, which must be a success.
    async fn end(mut self) -> io::Result<()> {
        let Ok(status) = timeout(ENDING, self.child.wait()).await else {
            return Err(io::Error::other(
                "the program has closed its output, and does not end",
            ));
        };
        let status = status?;
        if status.success() {
            return Ok(());
        }
        // What it said last may still be on its way, or held open by a child of its own.
        let _ = timeout(ENDING, &mut self.listening).await;
        Err(failed(status, &self.said.text()))
    }
}

fn failed(status: ExitStatus, said: &str) -> io::Error {
    let said = if said.is_empty() {
        "and said nothing".to_owned()
    } else {
        format!("and said: {said}")
    };
    io::Error::other(format!("the program ended with {status} {said}"))
}

impl AsyncRead for Process {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ending.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.output).poll_read(cx, buffer))?;
            if buffer.filled().len() > before || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            // The end of its output is the end of the stream if the program ends well.
            let Some(running) = this.running.take() else {
                return Poll::Ready(Ok(()));
            };
            this.ending = Some(Box::pin(running.end()));
        }
        if let Some(ending) = &mut this.ending {
            let ended = ready!(ending.as_mut().poll(cx));
            this.ending = None;
            ended?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Process {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_write(cx, data),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        // The pipe is closed with its handle.
        self.input = None;
        Poll::Ready(Ok(()))
    }
}

/// A program whose input was closed in order may still be carrying what it was given: it gets time
/// to end by itself.
impl Drop for Process {
    fn drop(&mut self) {
        let in_order = self.input.is_none();
        if let (true, Some(running), Ok(runtime)) = (
            in_order,
            self.running.take(),
            tokio::runtime::Handle::try_current(),
        ) {
            runtime.spawn(async move {
                let mut running = running;
                let _ = timeout(ENDING, running.child.wait()).await;
            });
        }
    }
}
