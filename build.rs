//! Tells the linker where libtorch lives, so that the binary and the tests run without any variable set.

use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=migrations");
    if env::var_os("CARGO_FEATURE_TORCH").is_some() {
        let libtorch = env::var("LIBTORCH").expect(
            "the build feature `torch` needs libtorch: run `make setup`, then `make build` (which sets LIBTORCH)",
        );
        println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
        // What items of models say that they were tried with.
        let version = fs::read_to_string(format!("{libtorch}/build-version")).unwrap_or_default();
        println!("cargo:rustc-env=LIBTORCH_VERSION={}", version.trim());
    }
}
