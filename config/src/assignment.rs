//! A key that got its value outside a file: by a variable or by a flag.

use serde::Deserialize;

use crate::error::ConfigError;
use crate::keys::{self, Found, Shape};
use crate::place::Place;
use crate::schema::Schema;

/// One key, the value given to it, and where.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) path: Vec<String>,
    pub(crate) value: Given,
    pub(crate) place: Place,
}

/// A value in any of the forms that a key can take.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    Text(String),
    List(Vec<String>),
    Switch(bool),
    Integer(i64),
}

impl Given {
    /// What `text` means as the value of the key `path`. Text that is none of the numbers that a key
    /// takes stays text, for the schema to refuse.
    pub(crate) fn typed(path: &[String], text: String) -> Self {
        match (keys::find(path), text.parse()) {
            (Found::Key(Shape::Integer), Ok(number)) => Self::Integer(number),
            _ => Self::Text(text),
        }
    }
}

impl From<Given> for toml::Value {
    fn from(given: Given) -> Self {
        match given {
            Given::Text(text) => text.into(),
            Given::List(list) => list.into(),
            Given::Switch(on) => on.into(),
            Given::Integer(number) => number.into(),
        }
    }
}

impl From<Given> for config::ValueKind {
    fn from(given: Given) -> Self {
        match given {
            Given::Text(text) => text.into(),
            Given::List(list) => list.into(),
            Given::Switch(on) => on.into(),
            Given::Integer(number) => number.into(),
        }
    }
}

impl Assignment {
    /// The key's full path, as it is written in a file.
    pub(crate) fn key(&self) -> String {
        self.path.join(".")
    }

    /// Whether the key exists and takes this value.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |message: &str| ConfigError::Value {
            place: self.place.clone(),
            key: self.key(),
            message: message.to_owned(),
        };
        if keys::is_for_files(&self.path) {
            return Err(wrong("only a configuration file can say this"));
        }
        match keys::find(&self.path) {
            Found::Nothing => return Err(keys::unknown(self.place.clone(), &self.path)),
            Found::Section | Found::Sections => {
                return Err(wrong("this is a section, and takes no value"));
            }
            Found::Key(_) => {}
        }
        let leaf = toml::Value::from(self.value.clone());
        let nested = self.path.iter().rev().fold(leaf, |value, name| {
            toml::Value::Table(toml::Table::from_iter([(name.clone(), value)]))
        });
        match Schema::deserialize(nested) {
            Ok(_) => Ok(()),
            Err(error) => Err(wrong(error.message())),
        }
    }
}
