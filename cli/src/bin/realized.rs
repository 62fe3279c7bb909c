//! The daemon `realized`, with the transports that come with it.

fn main() -> std::process::ExitCode {
    realize_cli::daemon_with(&realize_cli::default_transports())
}
