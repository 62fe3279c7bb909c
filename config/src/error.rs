//! What can be wrong with a configuration, in words for people.

use std::io;
use std::path::PathBuf;

use crate::file::MAX_FILE_SIZE;
use crate::nearest::listed;
use crate::place::{MESSAGE, NAME, Place, shown, shown_path};

/// The first thing that is wrong with a configuration.
///
/// [`Display`](std::fmt::Display) gives the whole story but for the cause, which is the
/// [`source`](std::error::Error::source); for a file it has three lines, the last two being the
/// line of the file and carets below it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is missing, or cannot be read.
    #[error("cannot read the configuration {}", shown_path(file))]
    Read {
        /// The file, as it was named.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than [`MAX_FILE_SIZE`].
    #[error(
        "the configuration {} is larger than {MAX_FILE_SIZE} bytes",
        shown_path(file)
    )]
    TooLarge {
        /// The file, as it was named.
        file: PathBuf,
    },
    /// The file is no TOML.
    #[error("{place}: {}{}", shown(message, MESSAGE), place.excerpt())]
    Syntax {
        /// Where reading stopped.
        place: Place,
        /// What is wrong there.
        message: String,
    },
    /// There is no such key.
    #[error(
        "{place}: unknown key `{}`; {}{}{}",
        shown(key, NAME), siblings(section, known), question(nearest), place.excerpt()
    )]
    UnknownKey {
        /// Where it was given.
        place: Place,
        /// The key's full path.
        key: String,
        /// The innermost section that does exist; empty at the top.
        section: String,
        /// What that section has.
        known: Box<[String]>,
        /// What was probably meant, as it would be written at that place.
        nearest: Option<String>,
    },
    /// The key exists, and the value is none that it takes.
    #[error("{place}: `{}`: {}{}", shown(key, NAME), shown(message, MESSAGE), place.excerpt())]
    Value {
        /// Where it was given.
        place: Place,
        /// The key's full path.
        key: String,
        /// What was expected and what was found.
        message: String,
    },
    /// A section lacks a key that has no default.
    #[error("{place}: [{}] has no `{}`{}", shown(section, NAME), keys.join("` or `"), place.excerpt())]
    Missing {
        /// Where the section is.
        place: Place,
        /// The section's full path.
        section: String,
        /// The key that it lacks; of several, any would do.
        keys: &'static [&'static str],
    },
    /// File, environment and flags are each valid, and yet do not go together.
    #[error("cannot merge the configuration")]
    Merge(#[from] config::ConfigError),
}

impl ConfigError {
    /// Whether a flag said what is wrong.
    pub fn is_from_flag(&self) -> bool {
        matches!(self.place(), Some(Place::Flag(_)))
    }

    /// Where what is wrong was given; `None` where it is about a file as a whole.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Syntax { place, .. }
            | Self::UnknownKey { place, .. }
            | Self::Value { place, .. }
            | Self::Missing { place, .. } => Some(place),
            Self::Read { .. } | Self::TooLarge { .. } | Self::Merge(_) => None,
        }
    }
}

fn siblings(section: &str, known: &[String]) -> String {
    let known = listed(known.iter().map(String::as_str));
    if section.is_empty() {
        format!("there are {known}")
    } else {
        format!("[{}] has {known}", shown(section, NAME))
    }
}

fn question(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests;
