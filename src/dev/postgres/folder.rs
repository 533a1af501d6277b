//! Where a cluster's files lie and whose they are.

use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::super::host::{User, is_root, unprivileged};

/// Root's place for what another user must reach. Only root can write there, so nobody can put a folder in our way.
pub const SYSTEM_FOLDER: &str = "/var/lib/sceau";

/// A folder a server can use.
#[derive(Debug)]
pub struct Place {
    /// The folder, without symbolic links. Mode 0700, owned by `user`.
    pub folder: PathBuf,
    /// Who must run the server; `None`: ourselves.
    pub user: Option<User>,
    /// What to tell the person who asked for another folder.
    pub note: Option<String>,
}

/// Makes `data` ready: creates it; as root, hands it to an unprivileged user, or leaves a symbolic link there to a
/// folder that user can reach.
///
/// # Errors
/// When folders cannot be made, or belong to somebody else.
pub fn prepare(data: &Path) -> Result<Place> {
    let data = std::path::absolute(data)?;
    // A link left by an earlier start whose target was cleared away: the target is made again.
    if fs::symlink_metadata(&data).is_ok_and(|meta| meta.is_symlink()) {
        fs::create_dir_all(fs::read_link(&data)?)?;
    }
    fs::create_dir_all(&data).with_context(|| format!("cannot make the folder {}", data.display()))?;
    let folder = data.canonicalize()?;
    if !is_root()? {
        own(&folder, None)?;
        return Ok(Place { folder, user: None, note: None });
    }

    // A cluster made by an ordinary user stays theirs.
    let meta = fs::metadata(&folder)?;
    let user = if meta.uid() == 0 { unprivileged()? } else { User { uid: meta.uid(), gid: meta.gid() } };
    own(&folder, Some(user))?;
    if user.can_enter(&folder) {
        return Ok(Place { folder, user: Some(user), note: None });
    }

    let mut hash = DefaultHasher::new();
    data.hash(&mut hash);
    let elsewhere = Path::new(SYSTEM_FOLDER).join(format!("postgres-{:016x}", hash.finish()));
    fs::create_dir_all(&elsewhere)?;
    own(&elsewhere, Some(user))?;
    if !user.can_enter(&elsewhere) {
        bail!("Postgres runs as uid {} and can enter neither {} nor {}", user.uid, data.display(), elsewhere.display());
    }
    // Empty: a cluster the user cannot reach would have been refused when it was made.
    fs::remove_dir(&folder).with_context(|| format!("uid {} cannot enter {}", user.uid, data.display()))?;
    symlink(&elsewhere, &data)?;
    let note = format!(
        "Postgres cannot run as root, and uid {} cannot enter {}: the data is in {}",
        user.uid,
        data.display(),
        elsewhere.display()
    );
    Ok(Place { folder: elsewhere, user: Some(user), note: Some(note) })
}

/// Writes a file that only `user` (or we) can read. The folder is that user's, so a link they may have put there is not
/// followed: root would write through it.
///
/// # Errors
/// When the file cannot be written.
pub fn write_secret(path: &Path, text: &str, user: Option<User>) -> Result<()> {
    let write = || {
        if fs::symlink_metadata(path).is_ok() {
            fs::remove_file(path)?;
        }
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
        if let Some(user) = user {
            fchown(&file, Some(user.uid), Some(user.gid))?;
        }
        file.write_all(text.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Gives `folder` to `user` (or leaves it ours) and closes it to everybody else.
fn own(folder: &Path, user: Option<User>) -> Result<()> {
    let change = || {
        if let Some(user) = user {
            chown(folder, Some(user.uid), Some(user.gid))?;
        }
        fs::set_permissions(folder, Permissions::from_mode(0o700))
    };
    change()
        .with_context(|| format!("{} belongs to another user: start as that user, or choose another folder", folder.display()))
}
