//! How well limits are kept: what passes a limit over a while, in the fullest second, and in the
//! fullest 100 ms, for each transport, rate, direction and number of lanes, as a table in Markdown.
//!
//! ```sh
//! cargo run --release -p realize-cli --example limit-accuracy -- --seconds 10
//! ```
//!
//! Bytes are counted where a limited stream hands them on. The highest rates go to memory: no
//! network of one machine carries them. Where rsync and rclone are installed they are measured at
//! [`RIVALS`], by what comes out of them, and realize once more in the same way. The status is 1 if
//! one of realize's limits was not kept.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

mod count;
mod lanes;
mod pauses;
mod proxy;
mod rivals;
mod table;

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use realize_core::throttle::{RateLimitStream, RateLimiter, Throttle, Throttles};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;

use count::{Count, Counted};
use lanes::{Lanes, Machines, TRANSPORTS};
use pauses::Pauses;
use table::Row;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The rates over transports, and the one to memory.
const RATES: [u64; 4] = [64 * KIB, MIB, 8 * MIB, 100 * MIB];
const TO_MEMORY: u64 = 1 << 30;

/// The rate at which other programs are measured.
const RIVALS: u64 = 8 * MIB;

/// What is written at a time, as a connection's writer does.
const BLOCK: usize = 64 << 10;

/// Measures how well limits are kept.
#[derive(Parser)]
struct Arguments {
    /// How long each is measured, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..))]
    seconds: u64,
    /// Only what has this in its name: tcp, quic, channel, memory, rsync, rclone.
    #[arg(long)]
    only: Option<String>,
    /// Only limits up to this, in bytes per second.
    #[arg(long, default_value_t = u64::MAX)]
    most: u64,
}

/// Which of the two ends is limited, and sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
    Both,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure_all(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("limit-accuracy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a row for each. Whether all limits were kept.
async fn measure_all(arguments: &Arguments) -> Result<bool, Failure> {
    let wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| name == only);
    let time = Duration::from_secs(arguments.seconds);
    let mut kept = true;
    let mut show = |row: Row| {
        println!("{row}");
        kept &= row.is_kept();
    };
    println!("{}", table::HEAD);
    let over = |name| RATES.into_iter().map(move |rate| (name, rate));
    let cases = TRANSPORTS.into_iter().flat_map(over);
    for (name, rate) in cases.chain([(lanes::MEMORY, TO_MEMORY)]) {
        let Some(limit) = NonZeroU64::new(rate).filter(|_| wanted(name)) else {
            continue;
        };
        if rate > arguments.most {
            continue;
        }
        for lanes in [1, 4] {
            for direction in [Direction::Up, Direction::Down, Direction::Both] {
                let made = Machines::new(name)?.connect(lanes).await?;
                for row in measure(name, made, lanes, direction, limit, time).await {
                    show(row);
                }
            }
        }
    }
    if let Some(limit) = NonZeroU64::new(RIVALS) {
        for rival in rivals::ALL.into_iter().filter(|rival| wanted(rival.name)) {
            match rivals::measure(&rival, limit).await {
                Ok(row) => show(row),
                Err(error) => eprintln!("{} was not measured: {error}", rival.name),
            }
        }
        if wanted("tcp") {
            show(through_a_proxy(limit, time).await?);
        }
    }
    Ok(kept)
}

/// Sends over all lanes for a while, as much as the limits let through.
async fn measure(
    name: &str,
    made: Lanes,
    lanes: usize,
    direction: Direction,
    limit: NonZeroU64,
    time: Duration,
) -> Vec<Row> {
    let mut work = JoinSet::new();
    let mut counts = Vec::new();
    let sides = [
        (Direction::Up, "up", made.dialled),
        (Direction::Down, "down", made.accepted),
    ];
    // Nothing has been sent before all is ready: the time begins here.
    let pauses = Pauses::watch();
    let start = Instant::now();
    for (side, shown, streams) in sides {
        let sends = direction == side || direction == Direction::Both;
        let count = Count::new(start);
        let limiter: Arc<dyn Throttle> = Arc::new(RateLimiter::new(Some(limit)));
        let throttles = Throttles::new([limiter]);
        for stream in streams {
            let counted = Counted::new(stream, Arc::clone(&count));
            let limited = RateLimitStream::new(counted, throttles.clone());
            let (read, write) = tokio::io::split(limited);
            work.spawn(swallow(read));
            if sends {
                work.spawn(send(write));
            } else {
                work.spawn(keep_open(write));
            }
        }
        if sends {
            counts.push((shown, count));
        }
    }
    tokio::time::sleep(time).await;
    let measured = counts.into_iter().map(|(shown, count)| Row {
        name: name.to_owned(),
        lanes,
        direction: match direction {
            Direction::Both => format!("{shown} of both"),
            Direction::Up | Direction::Down => shown.to_owned(),
        },
        limit,
        measured: count.measured(start.elapsed()),
        lost: Some(pauses.lost()),
        counts: true,
    });
    let rows = measured.collect();
    work.shutdown().await;
    rows
}

/// Realize by what comes out of it, as other programs are measured.
async fn through_a_proxy(limit: NonZeroU64, time: Duration) -> Result<Row, Failure> {
    let count = Count::new(Instant::now());
    let machines = Machines::new("tcp")?;
    let (made, _proxy) = machines.connect_through(Arc::clone(&count)).await?;
    // What the handshake took is no part of it.
    count.clear();
    let mut rows = measure("tcp", made, 1, Direction::Up, limit, time).await;
    let row = rows.pop().ok_or("nothing was measured")?;
    Ok(Row {
        name: "tcp, through a proxy".to_owned(),
        measured: count.measured_from_first_to_last(),
        counts: false,
        ..row
    })
}

async fn send(mut to: impl AsyncWrite + Unpin) {
    let block = vec![0x5a; BLOCK];
    while to.write_all(&block).await.is_ok() && to.flush().await.is_ok() {}
}

async fn swallow(mut from: impl AsyncRead + Unpin) {
    let mut buffer = vec![0; BLOCK];
    while matches!(from.read(&mut buffer).await, Ok(1..)) {}
}

/// A direction in which nothing is sent is not ended either.
async fn keep_open(to: impl AsyncWrite + Unpin) {
    std::future::pending::<()>().await;
    drop(to);
}
