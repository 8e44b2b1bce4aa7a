//! Tells the linker where libtorch lives, so that the binary and the tests run without any variable set.

use std::env;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=migrations");
    if env::var_os("CARGO_FEATURE_TORCH").is_some() {
        let libtorch = env::var("LIBTORCH").expect(
            "the build feature `torch` needs libtorch: run `make setup`, then `make build` (which sets LIBTORCH)",
        );
        println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
    }
}
