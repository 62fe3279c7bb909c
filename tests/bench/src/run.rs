//! One run of one program: laid out, timed, checked.

use std::time::{Duration, Instant};

use rustix::process::Pid;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::Failure;
use crate::loopback;
use crate::memory::{Peaks, Watch};
use crate::place::Place;
use crate::process::Running;
use crate::rivals::{Contender, Job};
use crate::tree;
use crate::workloads::{Base, Kind};

/// How long one run may take.
const LONGEST: Duration = Duration::from_secs(120);
/// How fast the run goes that is killed at half, in KiB per second: slow enough to be caught.
const KILLED_AT: u64 = 100 << 10;
/// How often is looked at how much of it has arrived.
const LOOKS: Duration = Duration::from_millis(2);
/// How long the servers have to notice that a program was killed.
const NOTICED: Duration = Duration::from_millis(500);
/// How often the memory of processes is looked at.
const SAMPLES: Duration = Duration::from_millis(5);

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) time: Duration,
    /// What passed the loopback, in bytes, both ways.
    pub(crate) passed: u64,
    /// The most memory of each side, if that was looked at.
    pub(crate) peaks: Option<Peaks>,
}

/// What is run, and on what.
pub(crate) struct Runs<'a> {
    pub(crate) place: &'a Place,
    pub(crate) base: &'a Base,
    pub(crate) kind: Kind,
    /// How fast it may go, in KiB per second.
    pub(crate) limit: Option<u64>,
    /// Whether memory is looked at, which takes time.
    pub(crate) watched: bool,
}

impl Runs<'_> {
    /// Has `contender` move the files once. `number` is a different one each time, so that no server
    /// takes a destination for the one that it had before.
    ///
    /// # Errors
    /// It failed, or did not move every file, in words.
    pub(crate) async fn one(&self, contender: &Contender, number: u32) -> Result<Run, Failure> {
        let target = format!("run-{number}");
        self.place.lay_out(self.base, &target)?;
        contender.forget().await?;
        let job = Job {
            source: self.place.source(),
            there: self.place.there().join(&target),
            target,
            limit: self.limit,
        };
        if self.kind == Kind::Resumed {
            self.kill_at_half(contender, &job).await?;
        }
        let before = loopback::bytes()?;
        let watch = self.watched.then(|| Watch::new(contender.server.pid()));
        let start = Instant::now();
        let peaks = self.all(contender.commands(&job), watch).await?;
        let time = start.elapsed();
        let passed = loopback::bytes()?.saturating_sub(before);
        self.check(&job)?;
        self.place.clear()?;
        Ok(Run {
            time,
            passed,
            peaks,
        })
    }

    fn start(&self, command: Command) -> Result<Running, Failure> {
        Ok(Running::start(command, self.place.state("run.log"))?)
    }

    /// Runs commands one after the other, each to its end.
    async fn all(
        &self,
        commands: Vec<Command>,
        mut watch: Option<Watch>,
    ) -> Result<Option<Peaks>, Failure> {
        for command in commands {
            let mut running = self.start(command)?;
            let pid = running.pid();
            let ended = timeout(LONGEST, async {
                tokio::select! {
                    ended = running.wait() => ended,
                    never = sample(watch.as_mut(), pid) => match never {},
                }
            });
            let status = ended
                .await
                .map_err(|_| format!("it took more than {} s", LONGEST.as_secs()))??;
            if !status.success() {
                return Err(format!("{status}: {}", running.last_words()).into());
            }
        }
        Ok(watch.map(|watch| watch.peaks()))
    }

    /// Starts to move, slowly, and kills what does when half of the content is stored.
    async fn kill_at_half(&self, contender: &Contender, job: &Job) -> Result<(), Failure> {
        let slowly = Job {
            limit: Some(KILLED_AT),
            source: job.source.clone(),
            there: job.there.clone(),
            target: job.target.clone(),
        };
        let mut commands = contender.commands(&slowly);
        let mut running = self.start(commands.remove(0))?;
        let half = self.base.count.bytes / 2;
        while tree::count(&job.there)?.stored < half {
            if running.has_ended()? {
                let words = running.last_words();
                return Err(format!("it ended before it was killed: {words}").into());
            }
            sleep(LOOKS).await;
        }
        drop(running);
        sleep(NOTICED).await;
        Ok(())
    }

    /// Every file is at the destination as it was, and none at the source.
    fn check(&self, job: &Job) -> Result<(), Failure> {
        let left = tree::count(&job.source)?.files;
        if left > 0 {
            return Err(format!("{left} files were left at the source").into());
        }
        match tree::difference(&self.base.newer, &job.there)? {
            Some(differs) => Err(differs.into()),
            None => Ok(()),
        }
    }
}

/// Looks at memory until it is dropped.
async fn sample(watch: Option<&mut Watch>, client: Option<Pid>) -> std::convert::Infallible {
    let Some(watch) = watch else {
        return std::future::pending().await;
    };
    loop {
        watch.look(client);
        sleep(SAMPLES).await;
    }
}
