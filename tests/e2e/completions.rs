//! What shells complete by.

use std::process::Command;

use rstest::rstest;

use crate::ends::Ends;
use crate::program::realize;

#[rstest]
fn every_shell_gets_every_command_and_option(
    #[values("bash", "elvish", "fish", "powershell", "zsh")] shell: &str,
) {
    let outcome = realize(["completions", shell]).run().expect(0);
    for word in ["completions", "keygen", "max-duration", "on-conflict"] {
        assert!(outcome.stdout_text().contains(word), "{word}: {outcome}");
    }
}

#[test]
fn a_shell_that_has_none_is_a_usage_error() {
    realize(["completions", "tcsh"])
        .run()
        .expect(2)
        .says(&["tcsh"]);
}

/// A shell that starts has no use for what is wrong with a configuration.
#[test]
fn no_configuration_is_needed() {
    let ends = Ends::new();
    let missing = ends.outside("missing.toml");
    let outcome = realize(["completions", "bash", "--config"]).with([&missing]);
    outcome.run().expect(0);
}

#[test]
fn bash_completes_by_it() {
    let script = realize(["completions", "bash"]).run().expect(0);
    let asks =
        "COMP_WORDS=(realize tran); COMP_CWORD=1; _realize realize tran realize; echo $COMPREPLY";
    let bash = Command::new("bash")
        .args(["-c", &format!("{}\n{asks}", script.stdout_text())])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout).trim(), "transports");
}
