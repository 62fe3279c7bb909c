//! What is moved.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::data;
use crate::place::Place;
use crate::tree::{self, Count};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// One of the things that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// One large file.
    Large,
    /// Many small files.
    Small,
    /// Files of all sizes in directories.
    Mixed,
    /// A newer version of a file: one in a hundred of its blocks has changed.
    DeltaBlocks,
    /// A newer version of a file: bytes were inserted near its start.
    DeltaInsert,
    /// A file of which half has arrived when the program is killed.
    Resume,
    /// A file under a limit.
    Throttle,
    /// The memory that a large file and many small ones take.
    Memory,
}

/// How the programs have to go about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is there yet.
    Whole,
    /// An older version is there.
    Newer,
    /// It is begun, killed, and begun again.
    Resumed,
    /// Under a limit.
    Limited,
}

/// How much each workload has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// The one large file, in bytes.
    large: u64,
    small_files: u64,
    mixed_files: u64,
    /// The largest of the mixed files, in bytes.
    mixed_most: u64,
    /// The file that has an older version, in bytes.
    delta: u64,
    /// The file that goes on where it was, in bytes.
    resume: u64,
    /// The file under a limit, in bytes.
    throttle: u64,
}

impl Sizes {
    pub(crate) fn full() -> Self {
        Self {
            large: 384 * MIB,
            small_files: 20_000,
            mixed_files: 4000,
            mixed_most: 60 * MIB,
            delta: 256 * MIB,
            resume: 256 * MIB,
            throttle: 16 * MIB,
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            large: 4 * MIB,
            small_files: 200,
            mixed_files: 40,
            mixed_most: 256 * KIB,
            delta: 4 * MIB,
            resume: 16 * MIB,
            throttle: MIB,
        }
    }
}

/// What a workload moves, as it was made.
#[derive(Debug)]
pub(crate) struct Base {
    /// What is at the source.
    pub(crate) newer: PathBuf,
    /// What is at the destination, if anything is.
    pub(crate) older: Option<PathBuf>,
    /// How much is at the source.
    pub(crate) count: Count,
    /// Of the workload that has two: the other one.
    pub(crate) other: Option<Box<Self>>,
}

impl Base {
    fn of(newer: PathBuf, older: Option<PathBuf>) -> io::Result<Self> {
        Ok(Self {
            count: tree::count(&newer)?,
            newer,
            older,
            other: None,
        })
    }

    /// Removes it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let other = self.other.iter().map(|other| &other.newer);
        for directory in [&self.newer].into_iter().chain(&self.older).chain(other) {
            fs::remove_dir_all(directory)?;
        }
        Ok(())
    }
}

impl Workload {
    pub(crate) const ALL: [Self; 8] = [
        Self::Large,
        Self::Small,
        Self::Mixed,
        Self::DeltaBlocks,
        Self::DeltaInsert,
        Self::Resume,
        Self::Throttle,
        Self::Memory,
    ];

    /// How the programs have to go about it.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Large | Self::Small | Self::Mixed | Self::Memory => Kind::Whole,
            Self::DeltaBlocks | Self::DeltaInsert => Kind::Newer,
            Self::Resume => Kind::Resumed,
            Self::Throttle => Kind::Limited,
        }
    }

    /// Whether it moves more than one file.
    pub(crate) fn is_of_many(self) -> bool {
        matches!(self, Self::Small | Self::Mixed | Self::Memory)
    }

    /// How fast it may go, in KiB per second.
    pub(crate) fn limit(self) -> Option<u64> {
        (self == Self::Throttle).then_some(8 * KIB)
    }

    /// What it is, as a heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Large => "One large file",
            Self::Small => "Many small files",
            Self::Mixed => "Files of all sizes",
            Self::DeltaBlocks => "A newer version, 1% of its 64 KiB blocks changed",
            Self::DeltaInsert => "A newer version, 1,000 bytes inserted near its start",
            Self::Resume => "Killed at half, and run again",
            Self::Throttle => "A limit of 8 MiB a second",
            Self::Memory => "Peak memory",
        }
    }

    /// Makes what it moves.
    pub(crate) fn prepare(self, place: &Place, sizes: &Sizes) -> io::Result<Base> {
        let directory = |name: &str| {
            let directory = place.base().join(name);
            fs::create_dir(&directory)?;
            Ok::<_, io::Error>(directory)
        };
        let newer = directory("newer")?;
        match self {
            Self::Large => data::large(&newer, sizes.large)?,
            Self::Small => data::small(&newer, sizes.small_files)?,
            Self::Mixed => data::mixed(&newer, sizes.mixed_files, sizes.mixed_most)?,
            Self::Resume => data::large(&newer, sizes.resume)?,
            Self::Throttle => data::large(&newer, sizes.throttle)?,
            Self::DeltaBlocks | Self::DeltaInsert => {
                let older = directory("older")?;
                data::large(&older, sizes.delta)?;
                let files = (older.join("large.bin"), newer.join("large.bin"));
                if self == Self::DeltaBlocks {
                    data::changed(&files.0, &files.1)?;
                } else {
                    data::inserted(&files.0, &files.1)?;
                }
                return Base::of(newer, Some(older));
            }
            Self::Memory => {
                let many = directory("many")?;
                data::large(&newer, sizes.large)?;
                data::small(&many, sizes.small_files)?;
                let other = Some(Box::new(Base::of(many, None)?));
                return Ok(Base {
                    other,
                    ..Base::of(newer, None)?
                });
            }
        }
        Base::of(newer, None)
    }
}
