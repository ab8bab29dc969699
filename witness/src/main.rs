//! The program `indelible-witness`.

fn main() -> std::process::ExitCode {
    indelible_witness::cli::main()
}
