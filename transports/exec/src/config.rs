//! The table `[transports.exec]`, and the factory that makes a transport of it.

use std::sync::Arc;

use realize_core::registry::{BuildError, TransportContext, TransportOption, TypedFactory};
use realize_core::transport::{Endpoint, Transport};

use crate::transport::ExecTransport;

/// How many arguments a command has at most, its name included.
pub const MAX_ARGUMENTS: usize = 256;
/// Stands in an argument for the address of the peer.
const ADDRESS: &str = "{address}";

/// The options of the exec transport, as the configuration names them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecOptions {
    /// The program and its arguments. It is started as it stands, without a shell.
    pub command: Command,
}

/// A program and its arguments: 1 to [`MAX_ARGUMENTS`] texts, the first not empty. `{address}` in
/// one of them stands for the address of the peer that is dialled.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Command(Vec<String>);

impl Command {
    /// The command of these words; `None` if there are none, too many, or the first is empty.
    pub fn new(words: Vec<String>) -> Option<Self> {
        let named = words.first().is_some_and(|program| !program.is_empty());
        let plain = words.iter().all(|word| !word.contains('\0'));
        (named && plain && words.len() <= MAX_ARGUMENTS).then_some(Self(words))
    }

    /// The words for a peer at `endpoint`.
    pub(crate) fn words(&self, endpoint: &Endpoint) -> Vec<String> {
        let word = |word: &String| word.replace(ADDRESS, endpoint.as_str());
        self.0.iter().map(word).collect()
    }
}

impl TryFrom<Vec<String>> for Command {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        Self::new(words).ok_or_else(|| {
            format!("expected a program and its arguments, 1 to {MAX_ARGUMENTS} texts")
        })
    }
}

/// Makes an [`ExecTransport`] from the table `[transports.exec]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecFactory;

impl TypedFactory for ExecFactory {
    type Options = ExecOptions;

    fn name(&self) -> &'static str {
        "exec"
    }

    fn options(&self) -> Vec<TransportOption> {
        vec![TransportOption {
            name: "command",
            default: "(none: it has to be set)".to_owned(),
            what: "the program to start and its arguments, such as [\"ssh\", \"{address}\"]; \
                   {address} stands for the peer's address"
                .to_owned(),
        }]
    }

    fn make(
        &self,
        options: ExecOptions,
        _context: &TransportContext,
    ) -> Result<Arc<dyn Transport>, BuildError> {
        Ok(Arc::new(ExecTransport::new(options)))
    }
}

#[cfg(test)]
mod tests {
    use realize_core::registry::{TableError, TransportTable};
    use rstest::rstest;

    use super::*;

    fn parsed(line: &str) -> Result<ExecOptions, TableError> {
        let text = format!("[transports.exec]\n{line}\n");
        TransportTable::find(&text, "exec").unwrap().parse()
    }

    #[test]
    fn the_address_is_put_where_it_is_named() {
        let options = parsed(r#"command = ["ssh", "-p22", "{address}", "x{address}"]"#).unwrap();
        let words = options.command.words(&Endpoint::new("nas").unwrap());
        assert_eq!(words, ["ssh", "-p22", "nas", "xnas"]);
    }

    #[rstest]
    #[case("", "missing field `command`")]
    #[case("command = []", "expected a program and its arguments, 1 to 256 texts")]
    #[case(
        r#"command = [""]"#,
        "expected a program and its arguments, 1 to 256 texts"
    )]
    #[case(r#"command = "ssh nas""#, "expected a sequence")]
    #[case(r#"comand = ["ssh"]"#, "unknown field `comand`")]
    fn what_is_no_command_is_refused(#[case] line: &str, #[case] expected: &str) {
        let error = parsed(line).unwrap_err();
        assert!(error.what.contains(expected), "{}", error.what);
    }
}
