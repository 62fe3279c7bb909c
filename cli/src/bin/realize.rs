//! The command `realize`.

fn main() -> std::process::ExitCode {
    realize_cli::main()
}
