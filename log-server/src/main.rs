//! The `indelible-server` program.

fn main() -> std::process::ExitCode {
    indelible_server::cli::main()
}
