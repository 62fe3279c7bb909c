//! What the command line says about the configuration.

use crate::assignment::{Assignment, Given};
use crate::place::Place;

/// Keys that flags gave a value; stronger than the environment and the file.
///
/// Flags hand in what was typed, unparsed, so that a flag, a variable and a file accept the same
/// and say the same about a mistake. A flag that was not given says nothing.
///
/// ```
/// # use realize_config::{Config, Environment, OnConflict, Overrides};
/// # use realize_core::registry::TransportRegistry;
/// let typed = Some("keep".to_owned());
/// let overrides = Overrides::new().text("move.on_conflict", "--on-conflict", typed);
/// let transports = TransportRegistry::new();
/// let config = Config::load(None, &Environment::default(), &overrides, &transports)?;
/// assert_eq!(config.r#move.on_conflict, OnConflict::Keep);
/// # Ok::<(), realize_config::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Overrides(Vec<Assignment>);

impl Overrides {
    /// No flag was given.
    pub fn new() -> Self {
        Self::default()
    }

    /// The flag `flag`, as a person types it, gives `key` (its full path) the text `value`; where
    /// the key takes a number, the number that the text is.
    ///
    /// Where two flags name one key, the one that was added last wins.
    #[must_use]
    pub fn text(self, key: &str, flag: &str, value: Option<String>) -> Self {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let value = value.map(|text| Given::typed(&path, text));
        self.with(key, flag, value)
    }

    /// As [`text`](Self::text), for a key that takes a list, which it replaces as a whole. An
    /// empty list means that the flag was not given.
    #[must_use]
    pub fn list(self, key: &str, flag: &str, values: Vec<String>) -> Self {
        let value = (!values.is_empty()).then_some(Given::List(values));
        self.with(key, flag, value)
    }

    /// As [`text`](Self::text), for a key that is true or false.
    #[must_use]
    pub fn switch(self, key: &str, flag: &str, value: Option<bool>) -> Self {
        self.with(key, flag, value.map(Given::Switch))
    }

    pub(crate) fn assignments(&self) -> impl Iterator<Item = Assignment> {
        self.0.iter().cloned()
    }

    fn with(mut self, key: &str, flag: &str, value: Option<Given>) -> Self {
        self.0.extend(value.map(|value| Assignment {
            path: key.split('.').map(str::to_owned).collect(),
            value,
            place: Place::Flag(flag.to_owned()),
        }));
        self
    }
}
