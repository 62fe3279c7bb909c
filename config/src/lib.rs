//! The configuration of realize: one schema for the mover and the daemon.
//!
//! Three parties have a say, and the first one that names a key wins: the command line
//! ([`Overrides`]), the environment ([`Environment`]), the file. What nobody names has a
//! default. [`Config::load`] hears them all and returns either the complete, typed [`Config`]
//! or the first thing that is wrong, as a [`ConfigError`] that says where.
//!
//! Each party is checked on its own before anything is merged, so a mistake is reported even
//! when a stronger party hides it, and is reported where it was made: in the file with line,
//! column and the line itself, elsewhere with the name of the variable or of the flag. What
//! depends on more than one key (a peer that is named must be there) is checked in the result.
//!
//! This crate knows what may be written and what it means. It opens no directory, reads no key,
//! makes no transport, and reads neither the process's environment nor its arguments: both are
//! handed in, as are the transports, each of which looks at its own table.

mod assignment;
mod environment;
mod error;
mod file;
mod keys;
mod load;
mod nearest;
mod origins;
mod overrides;
mod place;
mod resolve;
mod schema;
mod settings;
mod text;
mod transports;

pub use environment::Environment;
pub use error::ConfigError;
pub use file::MAX_FILE_SIZE;
pub use nearest::{listed, nearest};
pub use overrides::Overrides;
pub use place::{Place, Position};
pub use settings::{
    Config, DEFAULT_TRANSPORT, Directory, Identity, Listen, Log, Metrics, Move, Peer, PeerKey,
    Period, Rates, Throttle,
};
pub use text::parse_rate;
pub use text::{Compression, Day, Days, LogFormat, OnConflict, Progress, Right, TimeOfDay};
pub use text::{InvalidPushUrl, PushUrl};
