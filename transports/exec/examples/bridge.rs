//! A program that carries a connection: what comes on its standard input goes to the Unix socket
//! that it is given the path of, and what comes from there goes to its standard output. It ends when
//! whoever listens there has gone, or both directions have ended.
//!
//! The tests have exec start it, where a user has ssh.

use std::io;
use std::process::exit;

use realize_core::transport::PeerId;
use realize_exec::stdio;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::io::{AsyncWriteExt, copy, split};
use tokio::net::UnixStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let path = std::env::args_os().nth(1).unwrap_or_default();
    let socket = UnixStream::connect(path).await?.into_std()?;
    let watched = socket.try_clone()?;
    let (mut from_there, mut to_there) = UnixStream::from_std(socket)?.into_split();
    let peer = PeerId::new("exec:started").map_err(io::Error::other)?;
    let (mut from_here, mut to_here) = split(stdio(peer).stream);

    let up = async {
        copy(&mut from_here, &mut to_there).await?;
        to_there.shutdown().await
    };
    let down = async {
        copy(&mut from_there, &mut to_here).await?;
        to_here.flush().await?;
        // Whoever listens may have ended this direction alone. Asked for nothing, this waits until
        // there is neither.
        let hang_up = move || poll(&mut [PollFd::new(&watched, PollFlags::empty())], None);
        tokio::task::spawn_blocking(hang_up).await??;
        io::Result::Ok(())
    };
    tokio::select! {
        Err(error) = up => return Err(error),
        ended = down => ended?,
    }
    // A thread may still wait for standard input.
    exit(0)
}
