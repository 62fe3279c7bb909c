//! The command `realize`, with the transports that come with it.

fn main() -> std::process::ExitCode {
    realize_cli::main_with(&realize_cli::default_transports())
}
