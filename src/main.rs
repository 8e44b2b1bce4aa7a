//! Parses the command line, calls one command, prints the error well.

fn main() {}
