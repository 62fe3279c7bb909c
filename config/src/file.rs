//! The configuration file: reading it, and finding what is wrong with it and where.

use std::fmt;
use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::error::ConfigError;
use crate::keys::{self, EACH, Found, Shape, TRANSPORTS};
use crate::place::{Place, Position};
use crate::schema::Schema;

/// The size, in bytes, above which a file is refused.
pub const MAX_FILE_SIZE: u64 = 1024 * 1024;

/// A file that was read, and holds text.
pub(crate) struct ConfigFile {
    path: PathBuf,
    /// Where it is: what relative paths in it are relative to.
    directory: PathBuf,
    text: String,
}

/// What is in it is long, and other people's business.
impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A part of what a key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Name,
    /// Of a section, which may be long, this is its name too.
    Value,
}

/// Where a key is, and how its path is shown.
#[derive(Debug)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    pub(crate) key: String,
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

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What `path` means when it is written in this file.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// The first thing that is wrong with the file; unknown keys come before wrong values. The
    /// transports' tables are not looked into.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let document = self.parse()?;
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
                None => keys::unknown(place, &path),
                Some(message) => ConfigError::Value {
                    place,
                    key: keys::dotted(&path),
                    message,
                },
            });
        }
        match Schema::deserialize(without_transports(document)) {
            Ok(_) => Ok(()),
            Err(error) => {
                let span = error.span().unwrap_or_default();
                Err(self.fault_at(span, error.message().to_owned()))
            }
        }
    }

    /// What the schema knows of the file, as TOML.
    pub(crate) fn text_without_transports(&self) -> Result<String, ConfigError> {
        let rest = toml::Table::deserialize(without_transports(self.parse()?));
        let rest = rest.map_err(|error| self.syntax(&error))?;
        let text = toml::to_string(&rest);
        text.map_err(|error| config::ConfigError::Message(error.to_string()).into())
    }

    /// The error that what stands at `span` is wrong.
    pub(crate) fn fault_at(&self, span: Range<usize>, message: String) -> ConfigError {
        let document = DeTable::parse(&self.text);
        let path = document.map(|document| path_to(document.get_ref(), &span));
        ConfigError::Value {
            key: path.unwrap_or_default().join("."),
            place: self.place(span),
            message,
        }
    }

    /// Where `path` is, if the file has it. Into a list a path goes by numbers.
    pub(crate) fn spot(&self, path: &[&str], part: Part) -> Option<Spot> {
        let document = DeTable::parse(&self.text).ok()?;
        let (first, rest) = path.split_first()?;
        let (key, mut value) = document.get_ref().get_key_value(*first)?;
        let (mut name, mut names) = (Some(key.span()), vec![*first]);
        for step in rest {
            match value.get_ref() {
                DeValue::Table(table) => {
                    let (key, inner) = table.get_key_value(*step)?;
                    (name, value) = (Some(key.span()), inner);
                    names.push(step);
                }
                DeValue::Array(items) => {
                    (name, value) = (None, items.get(step.parse::<usize>().ok()?)?);
                }
                _ => return None,
            }
        }
        let by_name = part == Part::Name || value.get_ref().is_table();
        Some(Spot {
            place: self.place(name.filter(|_| by_name).unwrap_or_else(|| value.span())),
            key: names.join("."),
        })
    }

    /// The names in `section`, each with its span.
    pub(crate) fn names_in(&self, section: &str) -> Vec<(String, Range<usize>)> {
        let document = DeTable::parse(&self.text).ok();
        let names = document.as_ref().and_then(|document| {
            let table = document.get_ref().get(section)?.get_ref().as_table()?;
            let named = table
                .keys()
                .map(|key| (key.get_ref().to_string(), key.span()));
            Some(named.collect())
        });
        names.unwrap_or_default()
    }

    fn parse(&self) -> Result<Spanned<DeTable<'_>>, ConfigError> {
        DeTable::parse(&self.text).map_err(|error| self.syntax(&error))
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        ConfigError::Syntax {
            place: self.place(error.span().unwrap_or_default()),
            message: error.message().to_owned(),
        }
    }

    fn place(&self, span: Range<usize>) -> Place {
        Place::File(Box::new(Position::of(
            &self.path,
            self.text.as_bytes(),
            span,
        )))
    }
}

/// The document as the schema reads it.
fn without_transports(document: Spanned<DeTable<'_>>) -> ValueDeserializer<'_> {
    let span = document.span();
    let mut table = document.into_inner();
    table.remove(TRANSPORTS);
    ValueDeserializer::from(Spanned::new(span, DeValue::Table(table)))
}

/// Something wrong with a key itself, whatever its value is.
struct Fault {
    path: Vec<String>,
    span: Range<usize>,
    /// `None` if the key is unknown.
    message: Option<String>,
}

impl Fault {
    fn new(path: &[String], (span, message): (Range<usize>, Option<String>)) -> Self {
        let path = path.to_owned();
        Self {
            path,
            span,
            message,
        }
    }
}

fn wrong_type(value: &Spanned<DeValue<'_>>, expected: &str) -> (Range<usize>, Option<String>) {
    let found = value.get_ref().type_str();
    let message = format!("invalid type: {found}, expected {expected}");
    (value.span(), Some(message))
}

/// Goes no deeper than the schema does.
fn collect_faults(table: &DeTable<'_>, path: &mut Vec<String>, faults: &mut Vec<Fault>) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        let wrong_type = |expected| Some(wrong_type(value, expected));
        let fault = match (keys::find(path), value.get_ref()) {
            (Found::Section, DeValue::Table(inner)) => {
                collect_faults(inner, path, faults);
                None
            }
            (Found::Sections, DeValue::Array(items)) => {
                path.push(EACH.to_owned());
                for item in items {
                    match item.get_ref() {
                        DeValue::Table(inner) => collect_faults(inner, path, faults),
                        _ => faults.push(Fault::new(path, self::wrong_type(item, "a section"))),
                    }
                }
                path.pop();
                None
            }
            // To serde a list would do: a struct whose fields have no names.
            (Found::Section, _) => wrong_type("a section"),
            (Found::Sections, _) => wrong_type("a list of sections"),
            (Found::Key(Shape::Table), table) if !table.is_table() => wrong_type("a section"),
            (Found::Key(Shape::List), list) if !list.is_array() => wrong_type("a list of strings"),
            (Found::Key(_), _) => None,
            (Found::Nothing, _) => Some((key.span(), None)),
        };
        faults.extend(fault.map(|fault| Fault::new(path, fault)));
        path.pop();
    }
}

/// The path of the key at `span`, be it the key itself or its value.
fn path_to(table: &DeTable<'_>, span: &Range<usize>) -> Vec<String> {
    let holds = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    for (key, value) in table {
        let name = vec![key.get_ref().to_string()];
        if holds(key.span()) {
            return name;
        }
        let tables: Vec<&DeTable<'_>> = match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .filter_map(|item| item.get_ref().as_table())
                .collect(),
            value => value.as_table().into_iter().collect(),
        };
        let mut deeper = tables.into_iter().map(|inner| path_to(inner, span));
        let deeper = deeper.find(|path| !path.is_empty()).unwrap_or_default();
        if !deeper.is_empty() || holds(value.span()) {
            return [name, deeper].concat();
        }
    }
    Vec::new()
}
