//! The transports of a program, by name, each with a configuration table of its own type.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::known_peers::KnownPeers;
use crate::transport::Transport;

/// Makes a transport from a table that has a type: what a transport's author implements.
pub trait TypedFactory: Send + Sync {
    /// What the table may hold. It should deny unknown fields, and have a default for what may be
    /// absent: an absent table is an empty one.
    type Options: DeserializeOwned;

    /// The name that selects it, and that its table bears.
    fn name(&self) -> &'static str;

    /// What its table may hold, for people.
    fn options(&self) -> Vec<TransportOption> {
        Vec::new()
    }

    /// Makes the transport.
    ///
    /// # Errors
    /// [`BuildError`], if the context has not what it needs.
    fn make(
        &self,
        options: Self::Options,
        context: &TransportContext,
    ) -> Result<Arc<dyn Transport>, BuildError>;
}

impl<F: TypedFactory> TransportFactory for F {
    fn name(&self) -> &'static str {
        TypedFactory::name(self)
    }

    fn options(&self) -> Vec<TransportOption> {
        TypedFactory::options(self)
    }

    fn check(&self, table: &TransportTable<'_>) -> Result<(), TableError> {
        table.parse::<F::Options>().map(drop)
    }

    fn build(
        &self,
        table: &TransportTable<'_>,
        context: &TransportContext,
    ) -> Result<Arc<dyn Transport>, BuildError> {
        self.make(table.parse()?, context)
    }
}

/// Makes a transport from its table in the configuration, of whatever type that is: every
/// [`TypedFactory`] is one.
pub trait TransportFactory: Send + Sync {
    /// The name that selects it, and that its table bears.
    fn name(&self) -> &'static str;

    /// What its table may hold, for people.
    fn options(&self) -> Vec<TransportOption>;

    /// Looks at the table and makes nothing: every table is looked at, in use or not. An absent
    /// table is an empty one.
    ///
    /// # Errors
    /// The table does not hold what this transport understands.
    fn check(&self, table: &TransportTable<'_>) -> Result<(), TableError>;

    /// Makes the transport, once for a program: who wants to dial and to listen shares it.
    ///
    /// # Errors
    /// [`BuildError`], if the table does not hold what this transport understands, or the context
    /// not what it needs.
    fn build(
        &self,
        table: &TransportTable<'_>,
        context: &TransportContext,
    ) -> Result<Arc<dyn Transport>, BuildError>;
}

/// What a program gives every transport that it makes.
#[derive(Clone, Debug, Default)]
pub struct TransportContext {
    /// The file with this machine's private key, for transports that prove with one who they are.
    pub key_file: Option<PathBuf>,
    /// Whom listeners let in.
    pub known: KnownPeers,
}

/// An option of a transport's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportOption {
    /// Its key.
    pub name: &'static str,
    /// What holds where it is absent, as it would be written.
    pub default: String,
    /// What it is, with its unit and range.
    pub what: String,
}

/// Why a transport cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Its table does not fit.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Something that it needs besides: a key, for instance.
    #[error("{what}")]
    Missing {
        /// What it needs, and how to get it.
        what: String,
        /// Why it cannot be had.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// A transport's table, as it stands in the configuration.
#[derive(Clone, Debug)]
pub struct TransportTable<'a> {
    source: &'a str,
    table: Option<toml::Spanned<toml::de::DeTable<'a>>>,
}

impl<'a> TransportTable<'a> {
    /// A table that is not there.
    pub fn empty() -> Self {
        Self {
            source: "",
            table: None,
        }
    }

    /// The table `[transports.NAME]` of a configuration; the empty one where there is none.
    ///
    /// # Errors
    /// [`TableError`] if the text is no TOML, or `transports.NAME` is not a table.
    pub fn find(source: &'a str, name: &str) -> Result<Self, TableError> {
        let document = toml::de::DeTable::parse(source).map_err(|e| TableError::of(&e))?;
        let mut table = document;
        for key in ["transports", name] {
            let Some(value) = table.into_inner().remove(key) else {
                return Ok(Self::empty());
            };
            let span = value.span();
            match value.into_inner() {
                toml::de::DeValue::Table(inner) => table = toml::Spanned::new(span, inner),
                other => {
                    let what = format!("`{key}` is to be a table, and is: {}", other.type_str());
                    return Err(TableError {
                        what,
                        span: Some(span),
                    });
                }
            }
        }
        Ok(Self {
            source,
            table: Some(table),
        })
    }

    /// The table as a `T`, which should deny unknown fields.
    ///
    /// # Errors
    /// [`TableError`] says what does not fit, and where.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, TableError> {
        let table = match &self.table {
            Some(table) => table.clone(),
            None => toml::Spanned::new(0..0, toml::de::DeTable::new()),
        };
        let span = table.span();
        let value = toml::Spanned::new(span, toml::de::DeValue::Table(table.into_inner()));
        T::deserialize(toml::de::ValueDeserializer::from(value)).map_err(|mut error| {
            error.set_input(Some(self.source));
            TableError::of(&error)
        })
    }
}

/// What is wrong with a transport's table, and where in the configuration's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct TableError {
    /// What was expected, and what is there.
    pub what: String,
    /// The bytes of the configuration that it is about.
    pub span: Option<Range<usize>>,
}

impl TableError {
    fn of(error: &toml::de::Error) -> Self {
        Self {
            what: error.message().to_owned(),
            span: error.span(),
        }
    }
}

/// The transports of a program.
#[derive(Default)]
pub struct TransportRegistry {
    factories: BTreeMap<&'static str, Box<dyn TransportFactory>>,
}

/// Two transports of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transport named {0} is registered already")]
pub struct DuplicateTransport(pub &'static str);

impl TransportRegistry {
    /// A registry without transports.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a transport.
    ///
    /// # Errors
    /// [`DuplicateTransport`] if one of that name is there.
    pub fn register(
        mut self,
        factory: impl TransportFactory + 'static,
    ) -> Result<Self, DuplicateTransport> {
        let name = factory.name();
        if self.factories.insert(name, Box::new(factory)).is_some() {
            return Err(DuplicateTransport(name));
        }
        Ok(self)
    }

    /// Adds a transport, in the place of one of that name if there is one.
    #[must_use]
    pub fn with(mut self, factory: impl TransportFactory + 'static) -> Self {
        self.factories.insert(factory.name(), Box::new(factory));
        self
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.factories.keys().copied()
    }

    /// The factories, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &dyn TransportFactory> + '_ {
        self.factories.values().map(|factory| &**factory)
    }

    /// The factory of that name.
    pub fn get(&self, name: &str) -> Option<&dyn TransportFactory> {
        self.factories.get(name).map(|factory| &**factory)
    }
}

impl fmt::Debug for TransportRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Options {
        #[serde(default)]
        lanes: u8,
    }

    #[test]
    fn a_table_keeps_its_place_in_the_text() {
        let text = "transport = \"x\"\n[transports.x]\nlanes = 3\n[transports.y]\nlane = 4\n";
        let parse = |name| TransportTable::find(text, name).unwrap().parse::<Options>();
        assert_eq!(parse("x"), Ok(Options { lanes: 3 }));
        assert_eq!(parse("z"), Ok(Options { lanes: 0 }));
        let error = parse("y").unwrap_err();
        assert_eq!(&text[error.span.unwrap()], "lane");
        assert!(
            error.what.contains("unknown field `lane`"),
            "{}",
            error.what
        );
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let error = TransportTable::find("transports = 3", "x").unwrap_err();
        assert_eq!(error.what, "`transports` is to be a table, and is: integer");
    }
}
