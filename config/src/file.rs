//! The configuration file: reading it, and finding what is wrong with it and where.

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::error::ConfigError;
use crate::place::{Place, Position};
use crate::schema::{self, Found, Schema, Shape};

/// The size, in bytes, above which a file is refused.
pub const MAX_FILE_SIZE: u64 = 1024 * 1024;

/// A file that was read, and holds text.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    /// Where it is: what relative paths in it are relative to.
    directory: PathBuf,
    text: String,
}

impl ConfigFile {
    /// Reads the file, and no more of it than may be.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read {
            file: path.to_owned(),
            source,
        };
        let mut content = Vec::new();
        let file = fs::File::open(path).map_err(failed)?;
        file.take(MAX_FILE_SIZE + 1)
            .read_to_end(&mut content)
            .map_err(failed)?;
        let path_here = std::path::absolute(path).map_err(failed)?;
        Self::new(path, path_here.parent().unwrap_or(&path_here), content)
    }

    pub(crate) fn new(
        path: &Path,
        directory: &Path,
        content: Vec<u8>,
    ) -> Result<Self, ConfigError> {
        let (path, directory) = (path.to_owned(), directory.to_owned());
        if content.len() as u64 > MAX_FILE_SIZE {
            return Err(ConfigError::TooLarge { file: path });
        }
        match String::from_utf8(content) {
            Ok(text) => Ok(Self {
                path,
                directory,
                text,
            }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let position = Position::of(&path, error.as_bytes(), at..at + 1);
                let message = "this is not UTF-8".to_owned();
                Err(ConfigError::Syntax {
                    place: Place::File(Box::new(position)),
                    message,
                })
            }
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What `path` means when it is written in this file.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// The first thing that is wrong with the file; unknown keys come before wrong values.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let syntax = |error: toml::de::Error| ConfigError::Syntax {
            place: self.place(error.span().unwrap_or_default()),
            message: error.message().to_owned(),
        };
        let document = DeTable::parse(&self.text).map_err(syntax)?;

        let mut faults = Vec::new();
        collect_faults(document.get_ref(), &mut Vec::new(), &mut faults);
        let first = faults
            .into_iter()
            .min_by_key(|fault| (fault.message.is_some(), fault.span.start));
        if let Some(Fault {
            path,
            span,
            message,
        }) = first
        {
            let place = self.place(span);
            return Err(match message {
                None => schema::unknown(place, &path),
                Some(message) => ConfigError::Value {
                    place,
                    key: path.join("."),
                    message,
                },
            });
        }

        let root = toml::Spanned::new(document.span(), DeValue::Table(document.get_ref().clone()));
        match Schema::deserialize(ValueDeserializer::from(root)) {
            Ok(_) => Ok(()),
            Err(error) => {
                let span = error.span().unwrap_or_default();
                Err(ConfigError::Value {
                    key: path_to(document.get_ref(), &span).join("."),
                    place: self.place(span),
                    message: error.message().to_owned(),
                })
            }
        }
    }

    /// Where `[section]` begins, if the file has it.
    pub(crate) fn place_of(&self, section: &[&str]) -> Option<Place> {
        let document = DeTable::parse(&self.text).ok()?;
        let (first, rest) = section.split_first()?;
        let mut entry = document.get_ref().get_key_value(*first)?;
        for name in rest {
            entry = entry.1.get_ref().as_table()?.get_key_value(*name)?;
        }
        Some(self.place(entry.0.span()))
    }

    fn place(&self, span: Range<usize>) -> Place {
        Place::File(Box::new(Position::of(
            &self.path,
            self.text.as_bytes(),
            span,
        )))
    }
}

/// Something wrong with a key itself, whatever its value is.
struct Fault {
    path: Vec<String>,
    span: Range<usize>,
    /// `None` if the key is unknown.
    message: Option<String>,
}

/// Goes no deeper than the schema does.
fn collect_faults(table: &DeTable<'_>, path: &mut Vec<String>, faults: &mut Vec<Fault>) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        let wrong_type = |expected| {
            let found = value.get_ref().type_str();
            let message = format!("invalid type: {found}, expected {expected}");
            Some((value.span(), Some(message)))
        };
        let fault = match (schema::find(path), value.get_ref()) {
            (Found::Section, DeValue::Table(inner)) => {
                collect_faults(inner, path, faults);
                None
            }
            // To serde a list would do: a struct whose fields have no names.
            (Found::Section, _) => wrong_type("a section"),
            (Found::Key(Shape::List), list) if !list.is_array() => wrong_type("a list of strings"),
            (Found::Key(_), _) => None,
            (Found::Nothing, _) => Some((key.span(), None)),
        };
        if let Some((span, message)) = fault {
            faults.push(Fault {
                path: path.clone(),
                span,
                message,
            });
        }
        path.pop();
    }
}

/// The path of the key at `span`, be it the key itself or its value.
fn path_to(table: &DeTable<'_>, span: &Range<usize>) -> Vec<String> {
    let holds = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    for (key, value) in table {
        let deeper = value.get_ref().as_table().map(|inner| path_to(inner, span));
        let deeper = deeper.unwrap_or_default();
        if !deeper.is_empty() || holds(key.span()) || holds(value.span()) {
            return [vec![key.get_ref().to_string()], deeper].concat();
        }
    }
    Vec::new()
}
