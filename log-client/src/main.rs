//! The `indelible` command.

fn main() -> std::process::ExitCode {
    indelible_client::cli::main()
}
