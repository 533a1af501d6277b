//! Work that whoever submits should not notice.

use std::convert::Infallible;
use std::io;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Niceness of the thread. Not the lowest: a seal must come to its end on a machine that is always busy.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs `work` on a thread of its own that gives way to others. Postgres gives way with it: it sends, and stores, as fast as
/// the thread takes and gives. Begins at once.
///
/// # Errors
/// When there is no thread to be had, or `work` panics.
pub(super) fn behind<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = io::Result<T>> {
    let (send, receive) = oneshot::channel();
    let spawned = std::thread::Builder::new().name("seal".into()).spawn(move || {
        give_way();
        // Given up: nobody wants it.
        let _ = send.send(work());
    });
    async move {
        spawned?;
        receive.await.map_err(|_| io::Error::other("the thread panicked"))
    }
}

/// Polls `work` on such a thread. Given up, it is dropped at its next turn.
///
/// # Errors
/// As [`behind`].
pub(super) fn polled_behind<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = io::Result<T>> {
    let (wanted, given_up) = oneshot::channel::<Infallible>();
    let runtime = Handle::current();
    let done = behind(move || {
        runtime.block_on(async {
            tokio::select! {
                done = work => Some(done),
                _ = given_up => None,
            }
        })
    });
    async move {
        let done = done.await?;
        drop(wanted);
        Ok(done.expect("it was wanted until now"))
    }
}

/// On Linux only: elsewhere niceness is the whole process's.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "lowering the priority of a thread");
    }
}
