//! The command `sceau`.

use std::process::ExitCode;

/// The intake allocates and frees small objects on all threads at once; the system's allocator is the slower there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Once, before anything speaks TLS: without it rustls has to guess, and panics when it cannot.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("sceau: another TLS provider was installed first");
        return ExitCode::FAILURE;
    }
    sceau::cli::main()
}
