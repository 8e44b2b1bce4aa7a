//! Parses the command line, calls one command, prints the error well.

use std::process::ExitCode;

fn main() -> ExitCode {
    polder::commands::main()
}
