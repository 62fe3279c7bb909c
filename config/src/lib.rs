//! The configuration of realize: one schema for the mover and the daemon.
//!
//! Three parties have a say, and the first one that names a key wins: the command line
//! ([`Overrides`]), the environment ([`Environment`]), the file. What nobody names has a
//! default. [`Config::load`] hears them all and returns either the complete, typed [`Config`]
//! or the first thing that is wrong, as a [`ConfigError`] that says where.
//!
//! Each party is checked on its own before anything is merged, so a mistake is reported even
//! when a stronger party hides it, and is reported where it was made: in the file with line,
//! column and the line itself, elsewhere with the name of the variable or of the flag.
//!
//! This crate knows what may be written and what it means. It opens no directory, dials no
//! peer, and reads neither the process's environment nor its arguments: both are handed in.

mod assignment;
mod environment;
mod error;
mod file;
mod load;
mod nearest;
mod overrides;
mod place;
mod schema;
mod settings;
mod text;

pub use environment::Environment;
pub use error::ConfigError;
pub use file::MAX_FILE_SIZE;
pub use nearest::{listed, nearest};
pub use overrides::Overrides;
pub use place::{Place, Position};
pub use settings::{Config, Directory, Log, Move};
pub use text::{LogFormat, OnConflict, Progress};
