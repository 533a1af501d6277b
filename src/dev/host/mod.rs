//! What the pieces of the local stack ask of the machine: users, ports, one owner per folder.

mod lock;
mod net;
mod user;

pub use lock::FolderLock;
pub use net::{ensure_free, free_port};
pub use user::{User, is_root, unprivileged};
