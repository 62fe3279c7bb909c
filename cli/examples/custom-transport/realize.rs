//! `realize` with one transport more. Its daemon is `realized.rs` beside it.

mod transport;

fn main() -> std::process::ExitCode {
    let transports = realize_cli::default_transports().with(transport::UnixFactory);
    realize_cli::main_with(&transports)
}
