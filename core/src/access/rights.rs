//! The rights that a peer may have in a directory.

use std::fmt;
use std::str::FromStr;

/// One thing that a peer may be allowed. None implies another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// To list what the directory holds.
    List,
    /// To read, hash and compare the content of files under their final names.
    Read,
    /// To offer and send files, and to finish them under names that hold nothing.
    Write,
    /// To finish files under names that hold something.
    Replace,
    /// To delete what was read.
    Delete,
}

/// A word that names no [`Right`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are the rights {}", Rights::ALL)]
pub struct UnknownRight;

impl Right {
    /// Every right.
    pub const ALL: [Self; 5] = [
        Self::List,
        Self::Read,
        Self::Write,
        Self::Replace,
        Self::Delete,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::Replace => "replace",
            Self::Delete => "delete",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Right {
    type Err = UnknownRight;
    fn from_str(text: &str) -> Result<Self, UnknownRight> {
        let mut rights = Self::ALL.into_iter();
        rights
            .find(|right| right.name() == text)
            .ok_or(UnknownRight)
    }
}

/// A set of rights. `Display` writes their words, with commas between them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u8);

impl Rights {
    /// No right at all.
    pub const NONE: Self = Self(0);
    /// Every right.
    pub const ALL: Self = Self::NONE
        .with(Right::List)
        .with(Right::Read)
        .with(Right::Write)
        .with(Right::Replace)
        .with(Right::Delete);

    /// These rights and `right`.
    #[must_use]
    pub const fn with(self, right: Right) -> Self {
        Self(self.0 | right.bit())
    }

    /// The rights that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These rights but for those in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether `right` is among them.
    pub const fn contains(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rights, in the order of [`Right::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Right> {
        let all = Right::ALL.into_iter();
        all.filter(move |right| self.contains(*right))
    }
}

impl From<Right> for Rights {
    fn from(right: Right) -> Self {
        Self::NONE.with(right)
    }
}

impl<const N: usize> From<[Right; N]> for Rights {
    fn from(rights: [Right; N]) -> Self {
        rights.into_iter().collect()
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, right) in self.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{right}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_its_right() {
        for right in Right::ALL {
            assert_eq!(right.to_string().parse(), Ok(right));
            assert!(Rights::ALL.contains(right) && !Rights::NONE.contains(right));
            let others: Rights = Right::ALL.into_iter().filter(|r| *r != right).collect();
            assert!(!others.contains(right));
            assert_eq!(Rights::ALL.without(others), right.into());
            assert_eq!(others.with(right), Rights::ALL);
        }
        for word in ["", "Read", "read ", "control"] {
            assert_eq!(word.parse::<Right>(), Err(UnknownRight));
        }
    }

    #[test]
    fn a_set_is_written_in_order() {
        let rights = Rights::from([Right::Delete, Right::List, Right::Read]);
        assert_eq!(rights.to_string(), "list, read, delete");
        assert_eq!(
            UnknownRight.to_string(),
            "there are the rights list, read, write, replace, delete"
        );
    }
}
