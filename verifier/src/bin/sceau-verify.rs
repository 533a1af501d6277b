//! Checks a receipt; see SPEC.md §5 for the exit statuses.

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Names that are not Unicode are not lost, only spelled with replacement characters, and then not found.
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    ExitCode::from(sceau_verifier::cli::run(arguments, &mut io::stdout().lock(), &mut io::stderr().lock()))
}
