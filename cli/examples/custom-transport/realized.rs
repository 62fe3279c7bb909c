//! `realized` with one transport more. Its command is `realize.rs` beside it.

mod transport;

fn main() -> std::process::ExitCode {
    let transports = realize_cli::default_transports().with(transport::UnixFactory);
    realize_cli::daemon_with(&transports)
}
