//! Which files are meant.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::output::usage;

/// Files found, and what could not be looked at.
#[derive(Debug, Default)]
pub struct Found {
    /// Paths in the order given, those of a folder sorted by name.
    pub files: Vec<PathBuf>,
    /// Their lengths together, bytes.
    pub bytes: u64,
    /// What could not be looked at, and why.
    pub failed: Vec<(PathBuf, io::Error)>,
}

/// Lists `paths`, folders with everything below them when `recursive`. Links that are found in a folder are left out;
/// one that is named is followed.
///
/// # Errors
/// A usage error when a folder is named without `recursive`.
pub fn find(paths: &[PathBuf], recursive: bool) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for path in paths {
        match fs::metadata(path) {
            Ok(data) if data.is_dir() && recursive => walk(path, &mut found),
            Ok(data) if data.is_dir() => {
                return Err(usage(format!("{} is a folder: give --recursive to submit the files in it", path.display())));
            }
            Ok(data) => found.add(path.clone(), data.len()),
            Err(error) => found.failed.push((path.clone(), error)),
        }
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut Found) {
    // A stack of our own: a folder may be deeper than a thread's.
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        match list(&path) {
            Ok(Listing::File(length)) => found.add(path, length),
            Ok(Listing::Folder(mut inside)) => {
                inside.sort_unstable_by(|one, other| other.cmp(one));
                waiting.append(&mut inside);
            }
            Ok(Listing::Other) => {}
            Err(error) => found.failed.push((path, error)),
        }
    }
}

enum Listing {
    File(u64),
    Folder(Vec<PathBuf>),
    Other,
}

fn list(path: &Path) -> io::Result<Listing> {
    let data = fs::symlink_metadata(path)?;
    Ok(if data.is_dir() {
        Listing::Folder(fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?)
    } else if data.is_file() {
        Listing::File(data.len())
    } else {
        Listing::Other
    })
}

impl Found {
    fn add(&mut self, path: PathBuf, length: u64) {
        self.files.push(path);
        self.bytes = self.bytes.saturating_add(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_walked_in_order_and_only_when_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/inner")).expect("made");
        for name in ["c", "a", "b/2", "b/inner/1", "b/1"] {
            fs::write(at(name), name).expect("written");
        }
        let paths = [at("c"), folder.path().to_owned(), at("none")];
        assert!(find(&paths, false).is_err());
        let found = find(&paths, true).expect("found");
        assert_eq!(found.files, ["c", "a", "b/1", "b/2", "b/inner/1", "c"].map(at));
        assert_eq!(found.bytes, 1 + 1 + 3 + 3 + 9 + 1);
        assert_eq!(found.failed.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_inside_a_folder_are_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("inside")).expect("made");
        fs::write(at("file"), "x").expect("written");
        std::os::unix::fs::symlink(folder.path(), at("inside/loop")).expect("linked");
        std::os::unix::fs::symlink(at("file"), at("inside/link")).expect("linked");
        assert_eq!(find(&[at("inside")], true).expect("found").files, [] as [PathBuf; 0]);
        assert_eq!(find(&[at("inside/link")], true).expect("found").files, [at("inside/link")]);
    }
}
